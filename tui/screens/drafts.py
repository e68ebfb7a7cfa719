"""What is written and not sent yet: kept with its conversation, and offered there again."""

from __future__ import annotations

import asyncio
from functools import partial

from textual.timer import Timer

from dlp_local.history import History
from tui.screens.composer import Composer
from tui.screens.requests import Requests

DELAY = 0.5
"""Seconds after a change until it is stored."""


class Drafts:
    """The drafts of the conversations that are opened one after the other; each is stored as a request of its own."""

    def __init__(self, composer: Composer, history: History, requests: Requests, conversation: int | None) -> None:
        """`conversation`: the open one; None is a new one."""
        self._composer, self._history, self._requests = composer, history, requests
        self._conversation = conversation
        self._timer: Timer | None = None
        self._written_before = ""
        self._offer()

    def at_command(self, written: str) -> None:
        """A command begins, which may open another conversation; `written` had been, when it was asked for."""
        self._written_before = written

    def changed(self, text: str) -> None:
        """What is written is `text` now; it is stored in a moment."""
        self._stop_timer()
        self._timer = self._composer.set_timer(DELAY, partial(self._save, self._conversation, text))

    def sent(self) -> None:
        """It is no draft any more."""
        self._save(self._conversation, "")

    def numbered(self, conversation: int | None) -> None:
        """The open conversation's number is known: it gets it with its first message."""
        self._conversation = conversation

    def opened(self, conversation: int | None) -> None:
        """Another conversation is open. What was written before that was asked for is the old one's draft.

        What was written since stays: it is meant for this one.
        """
        text, before = self._composer.text, self._written_before
        old, new = (before, text[len(before) :]) if text.startswith(before) else (text, "")
        self._save(self._conversation, old)
        self._conversation = conversation
        self._composer.end_edit()
        self._composer.fill(new)
        self._offer()

    @property
    def written(self) -> tuple[int | None, str]:
        """The open conversation, and what is written in it."""
        return self._conversation, self._composer.text

    def _save(self, conversation: int | None, text: str) -> None:
        self._stop_timer()
        self._requests.add(lambda: asyncio.to_thread(self._history.set_draft, conversation, text))

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.stop()
            self._timer = None

    def _offer(self) -> None:
        self._requests.add(partial(self._fill, self._conversation))

    async def _fill(self, conversation: int | None) -> None:
        """What was written in a conversation before, unless one writes already."""
        draft = await asyncio.to_thread(self._history.draft, conversation)
        if not self._composer.text and self._conversation == conversation:
            self._composer.fill(draft)
