"""The line under an answer: how it was routed, what it took, and how it ended."""

from __future__ import annotations

from textual.widgets import Static

from dlp_local.records import ReplyDone
from tui.text import visible
from tui.turn import Turn

_ENDINGS = {"length": "cut at the longest answer", "cancelled": "stopped"}


class Receipt(Static):
    """Has its line from the start of the turn and fills it as things become known, so that nothing jumps."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(receipt(turn), markup=False)

    def show(self, turn: Turn) -> None:
        """Renders what is known of the turn."""
        self.update(receipt(turn))


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
