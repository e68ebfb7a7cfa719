"""F1: every key that is bound, read from textual's own table, so that it cannot go stale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

_NAMES = {"escape": "Esc", "pageup": "PageUp", "pagedown": "PageDown", "super": "Super"}

_INTRO = """\
Write a message and press Enter. A small router reads it and mixes the adapters that fit;
the line under each answer shows the mix and what it took. Nothing leaves this machine.
What you send while an answer is being written waits its turn."""


def key_name(key: str) -> str:
    """`ctrl+n` as people write it: `Ctrl+N`."""
    return "+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+"))


def key_table(bindings: Mapping[str, ActiveBinding], *, shown: bool) -> list[tuple[str, str]]:
    """What can be done and the keys for it; `shown` picks the chat's own keys, else those of editing."""
    table: dict[str, list[str]] = {}
    for key, active in bindings.items():
        if active.binding.show is shown:
            table.setdefault(active.binding.description, []).append(key_name(key))
    return [(description, ", ".join(keys)) for description, keys in table.items()]


class HelpScreen(ModalScreen[None]):
    """A panel over the conversation; it scrolls, and the usual keys close it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter,ctrl+c", "dismiss(None)", "Close", show=False),
    ]

    def __init__(self, bindings: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._tables = {
            "Chat": key_table(bindings, shown=True),
            "Writing": key_table(bindings, shown=False),
        }

    def compose(self) -> ComposeResult:
        """One text per section, columns aligned over all of them."""
        width = max((len(row[0]) for table in self._tables.values() for row in table), default=0) + 3
        with VerticalScroll(id="help") as panel:
            panel.border_title = "Help"
            panel.border_subtitle = "Esc closes"
            yield Static(_INTRO.replace("\n", " "), markup=False)
            for title, table in self._tables.items():
                yield Static(title, classes="section", markup=False)
                yield Static("\n".join(f"{what:<{width}}{keys}" for what, keys in table), markup=False)
