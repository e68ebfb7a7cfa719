"""What stands above the first message: who answers here, and what one might ask."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from dlp_local.core.text import visible
from tui.state import Status


class Greeting(Vertical):
    """There from the first paint, with room kept for what the pack will say of itself, so that nothing jumps."""

    def compose(self) -> ComposeResult:
        """Name, the pack's words, examples."""
        yield Static("dlp-local", classes="title", markup=False)
        yield Static("", id="about", markup=False)
        yield Static("", id="section", markup=False)
        yield Static("", id="examples", markup=False)

    def show(self, status: Status) -> None:
        """The pack's words come when it is loaded; one that has none is named, with its adapters."""
        nobody = "No server answers." if status.place.server else "No pack is loaded."
        about = {"loading": "Loading the pack; you can write already.", "failed": nobody}
        greeting = status.greeting or f"{status.name}: {', '.join(status.adapters) or 'no adapters yet'}."
        self.query_one("#about", Static).update(visible(about.get(status.phase, greeting)))
        self.query_one("#section", Static).update("Try for example" if status.examples else "")
        self.query_one("#examples", Static).update(visible("\n".join(status.examples)))
