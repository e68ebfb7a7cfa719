"""Every stored conversation: to search, open, rename, pin, delete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dlp_local.core.errors import HistoryError
from dlp_local.core.text import counted, visible
from dlp_local.history import History
from dlp_local.history.model import ConversationInfo, SearchHit

TITLE = 44


class ConversationsScreen(ModalScreen[int | None]):
    """Typing searches all messages and answers; with nothing typed, the newest conversations. Gives back a number."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close"),
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
        self._deleted: list[int] = []
        self._renaming: int | None = None

    def compose(self) -> ComposeResult:
        """A line to search with, and what it finds."""
        with Vertical(id="conversations") as panel:
            panel.border_title = "Conversations"
            panel.border_subtitle = "Enter opens · F2 renames · F3 pins · F8 deletes · Ctrl+Z brings back"
            yield Input(self._words, placeholder="Search in everything that was said")
            yield OptionList()
            yield Static("", classes="muted", markup=False)

    def on_mount(self) -> None:
        """Shows the list."""
        self._fill()

    def _fill(self, at: int = 0) -> None:
        options = self.query_one(OptionList)
        words = "" if self._renaming is not None else self.query_one(Input).value
        try:
            if words.strip():
                found = self._history.search(words)
                rows = [Option(hit_line(hit), id=f"{hit.conversation}-{hit.turn}") for hit in found]
                told = f"{len(found)} found"
            else:
                every = self._history.conversations()
                rows = [Option(info_line(info), id=f"{info.id}-0") for info in every]
                told = counted(len(every), "conversation") if every else "Nothing is stored yet."
        except HistoryError as error:
            rows, told = [], str(error)
        options.clear_options()
        options.add_options(rows)
        if rows:
            options.highlighted = min(at, len(rows) - 1)
        self.query_one(".muted", Static).update(visible(told))

    @on(Input.Changed)
    def _on_changed(self) -> None:
        if self._renaming is None:
            self._fill()

    @on(Input.Submitted)
    def _on_submitted(self, message: Input.Submitted) -> None:
        if self._renaming is not None:
            number, self._renaming = self._renaming, None
            self._change(lambda: self._history.rename(number, message.value))
            message.input.value = ""
        elif self._chosen is not None:
            self.dismiss(self._chosen)

    @on(OptionList.OptionSelected)
    def _on_selected(self) -> None:
        self.dismiss(self._chosen)

    @property
    def _chosen(self) -> int | None:
        options = self.query_one(OptionList)
        if options.highlighted is None:
            return None
        return int(str(options.get_option_at_index(options.highlighted).id).partition("-")[0])

    def action_move(self, by: int) -> None:
        """Up and Down move in the list while one writes."""
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_rename(self) -> None:
        """F2: the search line takes the new title; empty gives back the one of the first message."""
        if (number := self._chosen) is not None:
            self._renaming = number
            line = self.query_one(Input)
            line.value = self._history.conversation(number).info.title
            line.focus()
            self.query_one(".muted", Static).update("Write the new title and press Enter.")

    def action_pin(self) -> None:
        """F3."""
        if (number := self._chosen) is not None:
            pinned = self._history.conversation(number).info.pinned
            self._change(lambda: self._history.pin(number, not pinned))

    def action_delete(self) -> None:
        """F8."""
        if (number := self._chosen) is not None:
            self._deleted.append(number)
            self._change(lambda: self._history.delete(number))

    def action_undo(self) -> None:
        """Ctrl+Z."""
        if self._deleted:
            number = self._deleted.pop()
            self._change(lambda: self._history.restore(number))

    def _change(self, change: Callable[[], None]) -> None:
        try:
            change()
        except HistoryError as error:
            self.notify(visible(str(error)), severity="error", markup=False)
        self._fill(self.query_one(OptionList).highlighted or 0)


def info_line(info: ConversationInfo) -> Text:
    """`• title   3 turns   24 Nov 05:57`."""
    at = datetime.fromisoformat(info.changed_at).astimezone()
    line = Text("• " if info.pinned else "  ", "bold")
    line.append(f"{visible(info.title) or 'Empty':{TITLE}.{TITLE}}")
    return line.append(f" {counted(info.turns, 'turn'):>10}  {at:%d %b %H:%M}", "dim")


def hit_line(hit: SearchHit) -> Text:
    """The excerpt with its hits marked, after the title."""
    line = Text(f"{visible(hit.title):20.20}  ", "dim", no_wrap=True, overflow="ellipsis")
    excerpt = Text("".join(c if c.isprintable() else " " for c in hit.excerpt))
    for start, end in hit.spans:
        excerpt.stylize("bold reverse", start, end)
    return line.append_text(excerpt)
