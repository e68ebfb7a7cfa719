"""The adapters of the pack: which there are, which are switched off, and the keys that change that."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dlp_local.core.text import visible
from dlp_local.core.values import AdapterInfo
from tui.actions import AdapterAction
from tui.columns import fitted

NAME, LONGEST_NAME = 18, 30
"""Cells of the names."""

KEYS = "A adds one · Enter switches on or off · F8 removes · Esc closes"


class AdaptersScreen(ModalScreen[AdapterAction | None]):
    """A line for each; gives back what is to be changed. Removing is asked for twice: nothing brings the file back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close"),
        Binding("a", "add", "Add one"),
        Binding("f8,delete", "remove", "Remove it"),
    ]

    def __init__(self, adapters: tuple[AdapterInfo, ...], read_only_reason: str) -> None:
        super().__init__()
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._read_only_reason = read_only_reason
        self._asked = ""

    def compose(self) -> ComposeResult:
        """The list, and what goes for it."""
        with Vertical(id="pack") as panel:
            panel.border_title = "Adapters of the pack"
            panel.border_subtitle = "Esc closes" if self._read_only_reason else KEYS
            names = max(NAME, min(LONGEST_NAME, max(map(len, self._adapters), default=0)))
            yield OptionList(*(Option(_line(each, names), id=name) for name, each in self._adapters.items()))
            yield Static(visible(self._read_only_reason or self._empty), classes="muted", markup=False)
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Nothing is asked yet."""
        self.query_one(".problem").display = False
        self.query_one(".muted").display = bool(self._read_only_reason or self._empty)
        self.query_one(OptionList).focus()

    @property
    def _empty(self) -> str:
        return "" if self._adapters else "There is none yet."

    @property
    def _chosen(self) -> AdapterInfo | None:
        option = self.query_one(OptionList).highlighted_option
        return self._adapters[str(option.id)] if option else None

    def action_add(self) -> None:
        """Closes, to add an adapter."""
        self._decide(AdapterAction("add"))

    @on(OptionList.OptionSelected)
    def _on_selected(self) -> None:
        if adapter := self._chosen:
            self._decide(AdapterAction("disable" if adapter.enabled else "enable", adapter.name))

    def action_remove(self) -> None:
        """F8, twice."""
        adapter = self._chosen
        if adapter is None:
            return
        if self._read_only_reason or self._asked == adapter.name:
            self._decide(AdapterAction("remove", adapter.name))
            return
        self._asked = adapter.name
        warning = self.query_one(".problem", Static)
        warning.update(f"F8 once more takes {adapter.name} out of the pack, and its files off the disk.")
        warning.display = True

    def _decide(self, decision: AdapterAction) -> None:
        if self._read_only_reason:
            self.app.bell()
        else:
            self.dismiss(decision)


def _line(adapter: AdapterInfo, names: int) -> Text:
    """`sql   on   a question and its columns → SELECT`; the name has `names` cells."""
    line = Text()
    line.append(f"{fitted(visible(adapter.name), names)}  ", "bold" if adapter.enabled else "")
    line.append("on   " if adapter.enabled else "off  ")
    return line.append(visible(" ".join(adapter.description.split())))
