"""A text that takes one line until it is unfolded."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from dlp_local.core.text import visible


class Fold(Vertical):
    """A title with a mark; a click on it shows and hides what is below. It takes no focus."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text
        self._is_open = False
        self._parts = Static(classes="title", markup=False), Static(classes="folded", markup=False)
        """Not queried for: textual gives a widget that is taken away again as it is mounted no parts."""

    def compose(self) -> ComposeResult:
        """The title, and the text."""
        yield from self._parts

    def on_mount(self) -> None:
        """Shows it folded."""
        self._draw()

    def show(self, title: str, text: str) -> None:
        """Another text, folded or not as it is."""
        if (title, text) != (self._title, self._text):
            self._title, self._text = title, text
            if self.is_mounted:
                self._draw()

    @property
    def text(self) -> str:
        """What is below the title."""
        return self._text

    def unfold(self) -> None:
        """Shows the text."""
        self._is_open = True
        self._draw()

    def toggle(self) -> None:
        """Unfolds it, or folds it again."""
        self._is_open = not self._is_open
        self._draw()

    def on_click(self) -> None:
        """On the title or the text."""
        self.toggle()

    def _draw(self) -> None:
        title, text = self._parts
        title.update(visible(f"{'▾' if self._is_open else '▸'} {self._title}"))
        text.update(visible(self._text) if self._is_open else "")
        text.display = self._is_open
