"""The text of an answer, drawn as it streams; `tui.structure` says when verbatim and when as Markdown, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from dlp_local.core.text import visible
from tui.structure import has_structure

if TYPE_CHECKING:
    from textual.widgets import Markdown


class Answer(Vertical):
    """Renders the whole text each time it is given; only what is new is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self._markdown: Markdown | None = None

    def compose(self) -> ComposeResult:
        """Plain to begin with."""
        yield Static("", classes="verbatim", markup=False)

    async def show(self, text: str) -> None:
        """Draws `text`, the answer so far."""
        text = visible(text)
        if self._markdown:
            await self._extend(self._markdown, text)
        elif has_structure(text):
            from textual.widgets import Markdown  # eighty modules, not before the first paint

            from tui.markdown import markdown_parser

            with self.app.batch_update():
                self._markdown = markdown = Markdown(parser_factory=markdown_parser, open_links=False)
                await self.mount(markdown)
                await self.query(".verbatim").remove()
                # Appended, not given at the start: only then does textual remember where the last block began.
                await markdown.append(text)
        else:
            self.query_one(Static).update(text)

    async def _extend(self, markdown: Markdown, text: str) -> None:
        """Appends, which leaves finished blocks alone.

        Not by `Markdown.get_stream`: it gathers fragments while the screen is busy, and here `TurnChanged` and
        `TurnView` have done that already.
        """
        if text.startswith(markdown.source):
            if len(text) > len(markdown.source):
                await markdown.append(text[len(markdown.source) :])
        else:
            await markdown.update("")
            await markdown.append(text)
