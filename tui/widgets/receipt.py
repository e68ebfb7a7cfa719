"""The line under an answer: how it was routed, what it took, and how it ended."""

from __future__ import annotations

from rich.cells import cell_len
from textual.widgets import Static

from dlp_local.records import ReplyDone
from tui.text import visible
from tui.turn import Turn

_ENDINGS = {"length": "cut at the longest answer", "cancelled": "stopped"}


class Receipt(Static):
    """Has its line from the start of the turn and fills it as things become known, so that nothing jumps."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(receipt(turn), markup=False)
        self._turn = turn

    def show(self, turn: Turn) -> None:
        """Renders what is known of the turn."""
        self._turn = turn
        line = fold(receipt(turn), self.content_size.width)
        if line != self.content:  # each update costs a layout, and most steps of a turn only add text
            self.update(line)

    def on_resize(self) -> None:
        """Another width may need other lines."""
        self.show(self._turn)


def fold(line: str, width: int) -> str:
    """Breaks a line that is too long between its parts, never inside `96 tok/s`; width 0 is not yet known."""
    lines = [""]
    for part in line.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if width and cell_len(longer) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def receipt(turn: Turn) -> str:
    """`sql 0.72 · shell 0.22 · base 0.06 · 2 ms route · 180 ms first token · 96 tok/s`, or what there is of it."""
    if turn.state == "queued":
        return "queued"
    if turn.route is None:
        return "no answer" if turn.state == "failed" else "reading …"
    parts = [visible(str(turn.route.mix)), f"{milliseconds(turn.route.total_ms)} route"]
    if turn.done:
        parts[1] = f"{milliseconds(turn.done.timings.route)} route"
        parts += _of_answer(turn.done)
    return " · ".join(parts)


def _of_answer(done: ReplyDone) -> list[str]:
    parts = [f"{milliseconds(done.timings.first_token)} first token"] if done.answer_tokens else []
    if done.tokens_per_second:
        parts.append(f"{done.tokens_per_second:.0f} tok/s")
    if ending := _ENDINGS.get(done.finish_reason):
        parts.append(ending)
    return parts


def milliseconds(value: float) -> str:
    """Whole milliseconds; from ten seconds on, seconds."""
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 1 else "<1 ms"
