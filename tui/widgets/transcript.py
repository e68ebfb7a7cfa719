"""The scrolling part of the conversation's screen."""

from __future__ import annotations

from textual.containers import VerticalScroll


class Transcript(VerticalScroll, can_focus=False):
    """Follows the newest line until the user scrolls up; takes no focus, so that typing always goes to the prompt."""

    def on_mount(self) -> None:
        """Starts at the bottom."""
        self.anchor()
