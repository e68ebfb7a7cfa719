"""Two answers to one message, under two mixes, side by side."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen

from tui.state import Turn
from tui.widgets.message import TurnView


class CompareScreen(ModalScreen[int | None]):
    """Left the answer that was there, right the new one as it comes; gives back the turn that is to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "dismiss_with(0)", "Keep the left answer"),
        Binding("right,enter", "dismiss_with(1)", "Keep the right answer"),
        Binding("escape,ctrl+c", "dismiss(None)", "Close"),
    ]

    def __init__(self, left: Turn, right: Turn) -> None:
        super().__init__()
        self._views = {turn.id: TurnView(turn) for turn in (left, right)}

    def compose(self) -> ComposeResult:
        """Two columns."""
        with Horizontal(id="compare") as panel:
            panel.border_title = "Side by side"
            panel.border_subtitle = "← keeps the left one · → the right one · Esc closes"
            for view in self._views.values():
                with VerticalScroll():
                    yield view

    def show(self, turn: Turn) -> None:
        """Draws a turn where it is one of the two."""
        if view := self._views.get(turn.id):
            view.show(turn)

    def action_dismiss_with(self, side: int) -> None:
        """← and →."""
        self.dismiss(list(self._views)[side])
