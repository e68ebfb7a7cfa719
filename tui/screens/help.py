"""F1: the chat's own keys, read from textual's table of what is bound so that none goes stale, and every command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from dlp_local.core.text import visible
from tui.chat_commands import COMMANDS
from tui.state import Place

_NAMES = {"escape": "Esc", "pageup": "PageUp", "pagedown": "PageDown", "super": "Super"}

_INTRO = """\
Write a message and press Enter. A small router reads it and mixes the adapters that fit;
the line under each answer shows the mix and what it took. {where}
What you send while an answer is being written waits its turn."""


def where_messages_go(place: Place) -> str:
    """What leaves the program, in a sentence."""
    if place.server:
        return f"Messages go to the server {place.server}, which answers them; the conversation is kept here."
    if place.engine:
        return f"Messages go to the engine at {place.engine}, which answers them; the conversation is kept here."
    return "Nothing leaves this machine."


def key_name(key: str) -> str:
    """`ctrl+n` as people write it: `Ctrl+N`."""
    return "+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+"))


def key_table(bindings: Mapping[str, ActiveBinding]) -> list[tuple[str, str]]:
    """The chat's own keys and what they do; those of editing are as everywhere."""
    table: dict[str, list[str]] = {}
    for key, active in sorted(bindings.items(), key=lambda item: _place(item[1])):
        if active.binding.show:
            table.setdefault(active.binding.description, []).append(key_name(key))
    return [(", ".join(keys), description) for description, keys in table.items()]


def _place(active: ActiveBinding) -> tuple[int, int]:
    """Innermost widget first, and there in the order of its class: inherited keys come after its own."""
    own = [binding.action for binding in type(active.node).BINDINGS if isinstance(binding, Binding)]
    action = active.binding.action
    return -len(active.node.ancestors), own.index(action) if action in own else len(own)


class HelpScreen(ModalScreen[None]):
    """A panel over the conversation; it scrolls, and the usual keys close it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter,ctrl+c", "dismiss(None)", "Close", show=False),
    ]

    def __init__(self, bindings: Mapping[str, ActiveBinding], place: Place) -> None:
        super().__init__()
        self._intro = _INTRO.replace("\n", " ").format(where=where_messages_go(place))
        self._tables = {
            "Keys": key_table(bindings),
            "Commands": [(str(command), command.help) for command in COMMANDS],
        }

    def compose(self) -> ComposeResult:
        """One table per section."""
        with VerticalScroll(id="help") as panel:
            panel.border_title = "Help"
            panel.border_subtitle = "Esc closes"
            yield Static(visible(self._intro), markup=False)
            for title, table in self._tables.items():
                yield Static(title, classes="section", markup=False)
                yield Static(_grid(table))


def _grid(rows: list[tuple[str, str]]) -> Table:
    """Two columns that wrap on their own; `Text`, as keys such as `[` are no markup."""
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(width=24)
    grid.add_column(ratio=1)
    for keys, what in rows:
        grid.add_row(Text(keys), Text(what))
    return grid
