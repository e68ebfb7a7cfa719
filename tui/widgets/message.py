"""One turn on the screen: what was said, what was answered, and the receipt."""

from __future__ import annotations

import asyncio
from time import monotonic

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.visual import VisualType
from textual.widgets import Static

from dlp_local.core.receipt import no_answer_note, trimmed_note
from dlp_local.core.text import size_text, visible
from dlp_local.core.user_message import UserMessage
from dlp_local.history.search_hits import hits
from tui.state import Turn
from tui.widgets.answer import Answer
from tui.widgets.fold import Fold
from tui.widgets.receipt import Receipt

FRAME, LONGEST_FRAME = 1 / 25, 0.4
"""Seconds between two drawings of a growing answer."""

SHARE = 0.05
"""What drawing may take of a core: the rest of the machine is the model's."""

ALLOW_MORE = "F7 sets a longer answer."
"""What helps where the limit cut the reasoning off."""

LINES_SHOWN, CHARACTERS_SHOWN = 60, 6000
"""Of a message, before the rest is folded."""


class TurnView(Vertical):
    """Draws a turn as often as it changes, but at most once a frame, and the newest value only.

    A frame lasts the longer the more a drawing costs.
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self._turn = turn
        self._hits: list[tuple[Static, VisualType, Content]] = []
        """Texts with marks, as they were without them, and the part of each up to its first mark."""

        self._next_frame = 0.0
        self._waiting = False

    def compose(self) -> ComposeResult:
        """Parts that have nothing to show take no room; the receipt always has its line."""
        message = UserMessage.parse(self._turn.text, files_only=True)
        shown, rest = cut_long(message.request)
        yield Static(visible(shown), classes="said", markup=False)
        if rest:
            yield Fold(f"{len(rest.splitlines()):,} more lines, {size_text(len(rest.encode()))}", rest)
        for attachment in message.attachments:
            yield Fold(f"{attachment.name} {size_text(len(attachment.text.encode()))}", attachment.text)
        yield Static("", classes="notice", markup=False)
        yield Fold("Reasoning", self._turn.reasoning).add_class("reasoning")
        yield Answer()
        yield Static("", classes="problem", markup=False)
        yield Receipt(self._turn)

    async def on_mount(self) -> None:
        """A turn that is over already is drawn with the rest of its conversation."""
        await self._draw()

    def show(self, turn: Turn) -> None:
        """Draws `turn` at the next frame, and its end at once; what is drawn already, or will be, is not anew."""
        if turn == self._turn:
            return
        self._turn = turn
        if turn.state in ("done", "failed"):
            self.call_next(self._draw)
        elif not self._waiting:
            self._waiting = True
            delay = max(0.0, self._next_frame - monotonic())
            # Not by `set_timer`: on a busy machine textual leaves out a call that is late when its timer starts.
            asyncio.get_running_loop().call_later(delay, self.call_next, self._draw)

    def mark_words(self, words: str) -> None:
        """Marks where the words of a search stand, and unfolds an attached file that has them; none: no marks."""
        for part, content, _ in self._hits:
            part.update(content)
        self._hits.clear()
        for fold in self.query(Fold).exclude(".reasoning") if words else ():
            if hits(fold.text, words):
                fold.unfold()
        for part in self.query(".said, Fold .folded, Answer Static").results(Static) if words else ():
            text = part.content if isinstance(part.content, Content) else Content(str(part.content))
            if spans := hits(text.plain, words):
                self._hits.append((part, part.content, text[: spans[0][0] + 1]))
                for start, end in spans:
                    text = text.stylize("bold reverse", start, end)
                part.update(text)

    def first_hit(self) -> int:
        """The row of the screen where the first mark stands; that of the turn, where there is none."""
        rows = [
            part.content_region.y + before.get_height({}, part.content_size.width) - 1
            for part, _, before in self._hits
            if part.content_size.width
        ]
        return min(rows, default=self.region.y)

    async def _draw(self) -> None:
        self._waiting = False
        if not self.children:  # not composed yet, then `on_mount` draws it; or already taken away
            return
        turn, start = self._turn, monotonic()
        reasoning = self.query_one(".reasoning", Fold)
        reasoning.display = bool(turn.reasoning)
        reasoning.show("Reasoning", turn.reasoning)
        answer = self.query_one(Answer)
        answer.display = bool(turn.answer)
        if turn.answer:
            await answer.show(turn.answer)
        self._part(".notice", trimmed_note(turn.trimmed))
        no_answer = no_answer_note(turn.done, ALLOW_MORE) if turn.done else ""
        self._part(".problem", turn.error or no_answer)
        self.query_one(Receipt).show(turn)
        self._next_frame = start + LONGEST_FRAME
        self.call_after_refresh(self._drawn, start)

    def _drawn(self, start: float) -> None:
        now = monotonic()
        self._next_frame = now + min(max(FRAME, (now - start) / SHARE), LONGEST_FRAME)

    def _part(self, selector: str, text: str) -> None:
        part = self.query_one(selector, Static)
        if part.display or text:
            part.update(visible(text))
            part.display = bool(text)


def cut_long(text: str) -> tuple[str, str]:
    """What is shown at once of a text, and the rest, empty but for a long one: a megabyte would stop the window."""
    lines = text.split("\n", LINES_SHOWN)
    shown = text if len(lines) <= LINES_SHOWN else "\n".join(lines[:LINES_SHOWN])
    shown = shown[:CHARACTERS_SHOWN]
    return shown, text[len(shown) :].removeprefix("\n")
