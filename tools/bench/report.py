"""What a run of the benchmarks found, as Markdown and as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bench.against_llama_cpp import ANSWER, LONGEST_ANSWER, TURNS
from tools.bench.mixes import COUNTS

Figures = Mapping[str, Sequence[float]]
Results = dict[str, dict[str, list[float]]]
"""Case → name of a figure → its values, round by round."""

ONE = "1 side by side"


def ratio(above: str, below: str) -> Callable[[Figures], list[float]]:
    """The quotient of two figures, taken one after the other."""
    return lambda figures: [a / b for a, b in zip(figures[above], figures[below], strict=True)]


def added(changed: str, unchanged: str) -> Callable[[Figures], list[float]]:
    """The difference of two figures, taken one after the other."""
    return lambda figures: [a - b for a, b in zip(figures[changed], figures[unchanged], strict=True)]


ROWS: dict[str, Callable[[Figures], list[float]]] = {
    **{
        f"decode speed of {tokens} tokens, no adapter: ours / llama-bench": ratio(
            f"decode speed of {tokens}, ours", f"decode speed of {tokens}, llama-bench"
        )
        for tokens in (ANSWER, LONGEST_ANSWER)
    },
    "decode time: stack of 4 / one": ratio("decode, 4 stacked", f"decode, {ONE}"),
    "decode time: stack of 8 / one": ratio("decode, 8 stacked", f"decode, {ONE}"),
    "decode time: 4 side by side / one": ratio("decode, 4 side by side", f"decode, {ONE}"),
    "decode time: 8 side by side / one": ratio("decode, 8 side by side", f"decode, {ONE}"),
    "a kept mix of 4 after another, added to the first token, ms": added(
        "token after a switch, 4 stacked", "token after the same mix, 4 stacked"
    ),
    "building a new stack of 4, ms": lambda figures: list(figures["build, 4"]),
    "first token of 64: 4,000 tokens of history / none": ratio(
        "first token, 4,000 tokens of history", "first token, no history"
    ),
    f"first token, turn {TURNS} of alternating mixes: ours / llama-server": ratio(
        f"first token of turn {TURNS}, ours", f"first token of turn {TURNS}, llama-server"
    ),
    "peak memory, 4 adapters: ours / llama-server": ratio("peak memory, ours", "peak memory, llama-server"),
}


def cell(values: Sequence[float]) -> str:
    """`1.03 (1.01-1.06)`: median, smallest, largest."""
    digits = 0 if statistics.median(values) >= 10 else 2
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def tables(results: Results) -> str:
    """One Markdown table: a row for each figure, a column for each case."""
    lines = [f"| | {' | '.join(results)} |", f"|---|{'---|' * len(results)}"]
    for name, of in ROWS.items():
        lines.append(f"| {name} | {' | '.join(cell(of(figures)) for figures in results.values())} |")
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """Draws the first case: time of a token by number of adapters, and time to the first token by turn."""
    from matplotlib import pyplot

    name, figures = next(iter(results.items()))

    def median(key: str) -> float:
        return statistics.median(figures[key])

    pyplot.rcParams["svg.hashsalt"] = "dlp-local"
    drawing: tuple[Any, Any] = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    picture, (tokens, turns) = drawing
    side_by_side = [median(f"decode, {n} side by side") for n in COUNTS]
    tokens.plot(COUNTS, side_by_side, "o--", color="tab:gray", label="side by side (llama.cpp)")
    stacked = [side_by_side[0], *(median(f"decode, {n} stacked") for n in COUNTS if n > 1)]
    tokens.plot(COUNTS, stacked, "o-", color="tab:blue", label="one stack (dlp-local)")
    tokens.set(xlabel="adapters in the mix", ylabel="ms for a token", xticks=COUNTS, ylim=(0, None))
    numbers = range(1, TURNS + 1)
    for side, line, colour in (("llama-server", "o--", "tab:gray"), ("ours", "o-", "tab:blue")):
        label = "dlp-local" if side == "ours" else side
        times = [median(f"first token of turn {turn}, {side}") / 1000 for turn in numbers]
        turns.plot(numbers, times, line, color=colour, label=label)
    turns.set(xlabel="turn, another mix each time", ylabel="seconds to the first token", xticks=numbers, ylim=(0, None))
    for axes in (tokens, turns):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    picture.suptitle(name)
    pyplot.savefig(path, metadata={"Date": None})
