"""The scrolling part of the conversation's screen."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.message import Message


class Transcript(VerticalScroll, can_focus=False):
    """Follows the newest line until the user scrolls up; takes no focus, so that typing always goes to the prompt."""

    _following = False

    class ReachedTop(Message):
        """One scrolled up to the first line."""

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
