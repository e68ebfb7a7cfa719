"""Every stored conversation: to search, open, rename, pin, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.text import counted, visible
from dlp_local.history import History
from dlp_local.history.model import ConversationInfo, SearchHit
from tui.actions import ChosenConversation
from tui.columns import fitted, room
from tui.screens.requests import Requests
from tui.widgets.keys import LineInput

TITLE, SHORTEST_TITLE = 44, 12
INFO = len(" 1234 turns  24 Nov 05:57") + len("• ")
"""Cells of a line that are not the title's."""

MOST = 200
"""Conversations, or hits of a search, that are listed."""

HIT_TITLE = 20
BEFORE_HIT = 24
"""Characters of an excerpt that are shown before its first hit."""


class ConversationsScreen(ModalScreen[ChosenConversation | None]):
    """Typing searches all messages and answers; with nothing typed, the newest conversations. Gives back one of them.

    Each look into the history and each change of it is a request of its own: the line that one writes in never waits.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "close", "Give the new title up; close"),
        Binding("down", "move(1)", "Next", priority=True),
        Binding("up", "move(-1)", "Previous", priority=True),
        Binding("f2", "rename", "Rename"),
        Binding("f3", "pin", "Pin to the top, or no longer"),
        Binding("f8,delete", "delete", "Delete", priority=True),
        Binding("ctrl+z", "undo", "Bring back what was deleted", priority=True),
    ]

    def __init__(self, history: History, words: str = "") -> None:
        super().__init__()
        self._history, self._words = history, words
        """The words are those that the results were found by."""

        self._requests = Requests(self._show_error)
        self._deleted: list[int] = []
        self._renaming: int | None = None
        self._words_before = ""
        """What was searched for when a new title was asked for."""

        self._results: list[ConversationInfo | SearchHit] = []

    def compose(self) -> ComposeResult:
        """A line to search with, and what it finds."""
        with Vertical(id="conversations") as panel:
            panel.border_title = "Conversations"
            panel.border_subtitle = "Enter opens · F2 renames · F3 pins · F8 deletes · Ctrl+Z brings back"
            yield LineInput(self._words, placeholder="Search in everything that was said")
            yield OptionList()
            yield Static("", classes="muted", markup=False)

    def on_mount(self) -> None:
        """Shows the list."""
        self.run_worker(self._requests.serve())
        self._requests.add(self._fill)

    async def _fill(self) -> None:
        """Lists what is searched for now; words that were written over meanwhile are passed over."""
        words = "" if self._renaming is not None else self.query_one(Input).value.strip()
        at = self.query_one(OptionList).highlighted or 0
        self._results, self._words = [], words
        try:
            self._results = await asyncio.to_thread(self._look_up, words)
        finally:
            options = self.query_one(OptionList)
            options.clear_options()
            options.add_options(self._options())
            if self._results:
                options.highlighted = min(at, len(self._results) - 1)
        self._say(_how_many(len(self._results), words))

    def _options(self) -> list[Option]:
        return [Option(self._line(result)) for result in self._results]

    def _line(self, result: ConversationInfo | SearchHit) -> Text:
        if isinstance(result, SearchHit):
            return hit_line(result)
        return info_line(result, max(SHORTEST_TITLE, min(TITLE, room(self.app.size.width) - INFO)))

    def on_resize(self) -> None:
        """The titles are as wide as there is room."""
        options = self.query_one(OptionList)
        at = options.highlighted
        options.clear_options().add_options(self._options())
        options.highlighted = at if self._results else None

    def _look_up(self, words: str) -> list[ConversationInfo | SearchHit]:
        return [*self._history.search(words, MOST)] if words else [*self._history.conversations(MOST)]

    def _say(self, line: str) -> None:
        self.query_one(".muted", Static).update(visible(line))

    def _show_error(self, error: DlpLocalError) -> None:
        self._say(str(error))

    @on(Input.Changed)
    def _on_changed(self) -> None:
        if self._renaming is None:
            self._requests.add(self._fill)

    @on(Input.Submitted)
    def _on_submitted(self, message: Input.Submitted) -> None:
        if self._renaming is not None:
            self._change(partial(self._history.rename, self._renaming, message.value))
            self._end_renaming()
        else:
            self._requests.add(self._choose)  # after the search for what was just written

    @on(OptionList.OptionSelected)
    def _on_selected(self) -> None:
        self._requests.add(self._choose)

    async def _choose(self) -> None:
        match self._chosen:
            case SearchHit(conversation=number, turn=turn):
                self.dismiss(ChosenConversation(number, turn, self._words))
            case ConversationInfo(id=number):
                self.dismiss(ChosenConversation(number))

    @property
    def _chosen(self) -> ConversationInfo | SearchHit | None:
        at = self.query_one(OptionList).highlighted
        return self._results[at] if at is not None and at < len(self._results) else None

    @property
    def _chosen_number(self) -> int | None:
        chosen = self._chosen
        return chosen.conversation if isinstance(chosen, SearchHit) else chosen.id if chosen else None

    def action_close(self) -> None:
        """Esc: gives a new title up; where none is written, closes."""
        if self._renaming is None:
            self.dismiss(None)
        else:
            self._end_renaming()

    def _end_renaming(self) -> None:
        """What was searched for before is searched for again."""
        self._renaming = None
        line = self.query_one(Input)
        line.value = self._words_before
        self._requests.add(self._fill)

    def action_move(self, by: int) -> None:
        """Up and Down move in the list while one writes."""
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_rename(self) -> None:
        """F2: the search line takes the new title; empty gives back the one of the first message."""
        if (number := self._chosen_number) is not None:
            self._requests.add(partial(self._ask_title, number))

    async def _ask_title(self, number: int) -> None:
        conversation = await asyncio.to_thread(self._history.conversation, number)
        line = self.query_one(Input)
        if self._renaming is None:
            self._words_before = line.value
        self._renaming = number
        line.value = conversation.info.title
        line.focus()
        self._say("Write the new title and press Enter; Esc leaves the old one.")

    def action_pin(self) -> None:
        """Pins the highlighted conversation to the top, or takes the pin back."""
        if (number := self._chosen_number) is not None:
            self._change(lambda: self._history.pin(number, not self._history.conversation(number).info.pinned))

    def action_delete(self) -> None:
        """Deletes the highlighted conversation; it can be brought back."""
        number = self._chosen_number
        if number is not None and number not in self._deleted:  # the list may still show what is deleted
            self._deleted.append(number)
            self._change(partial(self._history.delete, number))

    def action_undo(self) -> None:
        """Brings the conversation back that was deleted last."""
        if self._deleted:
            self._change(partial(self._history.restore, self._deleted.pop()))

    def _change(self, change: Callable[[], None]) -> None:
        """Changes the history and shows it anew; what goes wrong is said, and the list is as it was read last."""

        async def changed() -> None:
            try:
                await asyncio.to_thread(change)
            except DlpLocalError:
                await self._fill()
                raise
            await self._fill()

        self._requests.add(changed)


def _how_many(count: int, words: str) -> str:
    """What is listed, and that it is not all of it where there may be more."""
    if count == MOST:
        return f"The newest {MOST} that were found" if words else f"The newest {MOST}; a search finds the others, too"
    if words:
        return f"{count} found"
    return counted(count, "conversation") if count else "Nothing is stored yet."


def info_line(info: ConversationInfo, title_width: int) -> Text:
    """`• title   3 turns   24 Nov 05:57`; of another year the year, in the place of the time."""
    at, now = datetime.fromisoformat(info.changed_at).astimezone(), datetime.now().astimezone()
    line = Text("• " if info.pinned else "  ", "bold")
    line.append(fitted(visible(info.title) or "Empty", title_width))
    when = f"{at:%d %b %H:%M}" if at.year == now.year else f"{at:%d %b  %Y}"
    return line.append(f" {counted(info.turns, 'turn'):>10}  {when}", "dim")


def hit_line(hit: SearchHit) -> Text:
    """The excerpt with its hits marked, after the title."""
    line = Text(f"{fitted(visible(hit.title), HIT_TITLE)}  ", "dim", no_wrap=True, overflow="ellipsis")
    excerpt = Text("".join(c if c.isprintable() else " " for c in hit.excerpt))
    for start, end in hit.spans:
        excerpt.stylize("bold reverse", start, end)
    first = hit.spans[0][0] if hit.spans else 0
    if first > BEFORE_HIT:  # else the end of the line would cut it off
        excerpt = Text("…").append_text(excerpt[first - BEFORE_HIT :])
    return line.append_text(excerpt)
