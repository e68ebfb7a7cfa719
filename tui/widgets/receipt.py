"""The line under an answer: how it was routed, what it took, and how it ended."""

from __future__ import annotations

from rich.cells import cell_len
from textual.message import Message
from textual.widgets import Static

from dlp_local.core.receipt import ENDINGS, receipt_lines, route_receipt
from dlp_local.core.text import visible
from tui.state import Turn


class Receipt(Static):
    """Has its line from the start of the turn and fills it as things become known, so that nothing jumps."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(receipt(turn), markup=False)
        self._turn = turn

    class Opened(Message):
        """The user wants to see more of a turn's routing."""

        def __init__(self, turn: int) -> None:
            super().__init__()
            self.turn = turn

    def on_click(self) -> None:
        """A click unfolds it."""
        self.post_message(self.Opened(self._turn.id))

    def show(self, turn: Turn) -> None:
        """Renders what is known of the turn."""
        self._turn = turn
        line = fold(receipt(turn), self.content_size.width)
        if line != self.content:  # each update costs a layout, and most steps of a turn only add text
            self.update(line)

    def on_resize(self) -> None:
        """Another width may need other lines."""
        self.show(self._turn)


def fold(text: str, width: int) -> str:
    """Breaks lines that are too long between their parts, never inside `96 tok/s`; width 0 is not yet known."""
    return "\n".join(_fold_line(line, width) for line in text.split("\n"))


def _fold_line(line: str, width: int) -> str:
    lines = [""]
    for part in line.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if width and cell_len(longer) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def receipt(turn: Turn) -> str:
    """`sql 0.72 · shell 0.22 · base 0.06 · 2 ms route · 180 ms first token · 96 tok/s`, or what there is of it.

    An answer in parts has such a line for each.
    """
    number, count = turn.alternative
    place = [f"‹ {number}/{count} ›"] if count > 1 else []
    if turn.state == "queued":
        return " · ".join([*place, "queued"])
    if turn.route is None:
        ending = ENDINGS.get(turn.finish_reason, "") if turn.finish_reason else ""
        states = {"failed": ENDINGS["error"] if turn.answer else "no answer", "done": ending}
        return " · ".join(filter(None, [*place, states.get(turn.state, "processing …")]))
    lines = receipt_lines(turn.done) if turn.done else (" · ".join(route_receipt(turn.route)),)
    return visible(" · ".join([*place, "\n".join(lines)]))
