"""The scrolling part of the conversation's screen: what was said, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from dlp_local.core.text import counted, visible
from tui.state import Status, Turn
from tui.widgets.fold import Fold
from tui.widgets.greeting import Greeting
from tui.widgets.message import TurnView

AT_ONCE = 30
"""Turns that are drawn; the ones before them are, as soon as one scrolls up to them."""

MOST_DRAWN = 4 * AT_ONCE
"""Turns that stay drawn when one goes back to the newest line: a long day's are not to slow each message down."""


class Transcript(VerticalScroll, can_focus=False):
    """Follows the newest line until the user scrolls up; takes no focus, so that typing always goes to the prompt.

    What is drawn is always the end of the path without a gap, in its order.
    """

    class ReachedTop(Message):
        """One scrolled up to the first line."""

    def __init__(self) -> None:
        super().__init__()
        self._following = False
        self._turns: tuple[Turn, ...] = ()
        self._views: dict[int, TurnView] = {}
        self._drawing = asyncio.Lock()
        """Held while turns are drawn: the window's screen asks for that, and scrolling does."""

    def compose(self) -> ComposeResult:
        """The turns come after these."""
        yield Greeting()
        yield Static("", id="earlier", markup=False)

    @property
    def drawn(self) -> Mapping[int, TurnView]:
        """The turns that are drawn, by number."""
        return self._views

    def show_status(self, status: Status) -> None:
        """What the pack says of itself, or why nothing can be answered."""
        self.query_one(Greeting).show(status)
        if status.phase == "failed" and not self.query("#failure"):
            panel = Static(visible(status.error), classes="problem", id="failure", markup=False)
            panel.border_title = status.place.failure.capitalize()
            panel.border_subtitle = "Ctrl+Q quits"
            self.mount(panel)

    async def show_path(self, turns: Sequence[Turn]) -> None:
        """Draws a path; turns that were drawn before keep their views, unless they became too many."""
        async with self._drawing:
            self._turns = tuple(turns)
            drawn = [index for index, turn in enumerate(turns) if turn.id in self._views]
            newest = max(0, len(turns) - AT_ONCE)
            first = min([newest, *drawn])
            await self._draw_from(newest if len(turns) - first > MOST_DRAWN else first)
        self.follow()

    async def _draw_from(self, first: int) -> None:
        """Draws the turns of the path from an index on, each before the one that stands after it, and no others."""
        wanted = self._turns[first:]
        with self.app.batch_update():
            for number in self._views.keys() - {turn.id for turn in wanted}:
                await self._views.pop(number).remove()
            after: TurnView | None = None
            for turn in reversed(wanted):
                if view := self._views.get(turn.id):
                    view.show(turn)
                else:
                    view = self._views[turn.id] = TurnView(turn)
                    await self.mount(view, before=after)
                after = view
            earlier = self.query_one("#earlier", Static)
            earlier.update(f"{counted(first, 'earlier turn')}: scroll up" if first else "")
            earlier.display = first > 0

    async def add_note(self, text: str, *, is_problem: bool) -> None:
        """Says something between what was said and what will be; it is not stored."""
        async with self._drawing:
            await self.mount(Static(visible(text), classes="note problem" if is_problem else "note", markup=False))
        self.follow()

    async def clear_notes(self) -> None:
        """Another conversation is to be shown."""
        async with self._drawing:
            await self.query(".note").remove()

    def show_turn(self, turn: Turn) -> None:
        """Draws what became of a turn; one of a branch that is not shown has no view."""
        if view := self._views.get(turn.id):
            view.show(turn)

    async def mark(self, number: int | None, words: str = "") -> None:
        """Marks a turn and where words of a search stand in it, drawing it where it is not; None marks none."""
        async with self._drawing:
            ids = [turn.id for turn in self._turns]
            if number in ids and number not in self._views:
                await self._draw_from(ids.index(number))
        for turn, view in self._views.items():
            view.set_class(turn == number, "marked")
            view.mark_words(words if turn == number else "")
            if turn == number:
                self.call_after_refresh(self._bring_into_view, view)  # a text that is drawn anew is followed until then

    def _bring_into_view(self, view: TurnView) -> None:
        self.release_anchor()
        window, turn, hit = self.content_region, view.region, view.first_hit()
        if turn.height <= window.height:
            view.scroll_visible(animate=False)
        else:  # of a long turn its beginning, or what is looked for below that
            row = turn.y if hit - turn.y < window.height - 1 else hit - window.height // 2
            self.scroll_to(y=row - window.y + self.scroll_y, animate=False)

    def toggle_folds(self, number: int) -> None:
        """Unfolds what of a turn is folded, or folds it again."""
        if view := self._views.get(number):
            for fold in view.query(Fold):
                fold.toggle()

    @on(ReachedTop)
    async def _on_top(self) -> None:
        """Draws the turns before the first one that is drawn; what is read stays where it is."""
        async with self._drawing:
            ids = [turn.id for turn in self._turns]
            first = next((index for index, number in enumerate(ids) if number in self._views), 0)
            before = self.virtual_size.height
            if first:
                await self._draw_from(max(0, first - AT_ONCE))
        if first:
            self.call_after_refresh(lambda: self.scroll_to(y=self.virtual_size.height - before, animate=False))

    # ---- following the newest line ----

    def watch_scroll_y(self, old: float, new: float) -> None:
        """Asks for what stands before the first line."""
        super().watch_scroll_y(old, new)
        if new == 0 < old:
            self.post_message(self.ReachedTop())

    def watch_virtual_size(self) -> None:
        """The text became longer or shorter."""
        self._check_full()

    def on_resize(self) -> None:
        """The window, or the prompt below, became larger or smaller."""
        self._check_full()

    def _check_full(self) -> None:
        """Follows only once the text is longer than its window.

        An anchored container that is not full draws its text at its foot, and each new line would move all of it.
        """
        full = 0 < self.size.height < self.virtual_size.height
        if full is not self._following:
            self._following = full
            self.anchor(full)
            if not full:
                self.scroll_home(animate=False)

    def follow(self) -> None:
        """Goes back to the newest line."""
        self.anchor(self._following)
