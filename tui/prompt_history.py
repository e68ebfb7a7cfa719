"""What was sent before, for Up and Down: of this window first, then of the stored conversations, newest first."""

from __future__ import annotations

from collections.abc import Iterator

from dlp_local.core.errors import HistoryError
from dlp_local.core.user_message import UserMessage
from dlp_local.history import History

MOST = 1000
"""Messages that one can go back."""


class PromptHistory:
    """A place in what was sent, and the draft that was left for it."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._sent: list[str] = []
        self._older: list[str] | None = None
        self._at = 0
        self._draft = ""

    def add(self, text: str) -> None:
        """A message or command was sent; the next step begins after it."""
        self._sent.append(text)
        self._at = 0

    def step(self, by: int, written: str) -> str | None:
        """What was sent before (-1) or after (1) the place where one is; None where there is nothing more.

        `written` is what stands in the prompt: before the first step back it is kept, and comes back at the end.
        """
        texts = self._texts()
        to = self._at - by
        if not 0 <= to <= len(texts):
            return None
        if self._at == 0:
            self._draft = written
        elif written != texts[-self._at]:  # it was changed: from here on it is a draft of its own
            self._at, self._draft = 0, written
            to = -by
            if not 0 <= to <= len(texts):
                return None
        self._at = to
        return texts[-to] if to else self._draft

    def _texts(self) -> list[str]:
        """The oldest first, none twice in a row."""
        if self._older is None:
            self._older = list(reversed(list(self._stored())))
        every = [*self._older, *self._sent]
        return [text for index, text in enumerate(every) if index == 0 or text != every[index - 1]]

    def _stored(self) -> Iterator[str]:
        """Messages of stored conversations, the newest first, less what was sent in this window."""
        sent, left = set(self._sent), MOST
        try:
            for info in sorted(self._history.conversations(), key=lambda info: info.changed_at, reverse=True):
                for turn in reversed(self._history.conversation(info.id).path()):
                    text = UserMessage.parse(turn.text, files_only=True).request
                    if text not in sent:
                        yield text
                        left -= 1
                    if not left:
                        return
        except HistoryError:
            return
