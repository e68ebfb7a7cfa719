"""What stands above the first message: who answers here, and what one might ask."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tui.text import visible
from tui.turn import Status

EXAMPLES = (
    "tar: extract archive.tar.gz into /tmp",
    "I need a table for four on Friday at 8pm",
    "hello, what can you do?",
)


class Greeting(Vertical):
    """There from the first paint, with room kept for what the pack will say of itself, so that nothing jumps."""

    def compose(self) -> ComposeResult:
        """Name, the pack's words, examples."""
        yield Static("dlp-local", classes="title", markup=False)
        yield Static("", id="about", markup=False)
        yield Static("Try for example", classes="section", markup=False)
        yield Static("\n".join(EXAMPLES), classes="examples", markup=False)

    def show(self, status: Status) -> None:
        """The pack's words come when it is loaded."""
        about = {"loading": "Loading the pack; you can write already.", "failed": "No pack is loaded."}
        self.query_one("#about", Static).update(visible(about.get(status.phase, status.greeting)))
