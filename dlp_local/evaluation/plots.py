"""The pictures of a report, PNG and SVG, drawn by matplotlib (the `eval` extra) without a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlp_local.core.files import written_aside
from dlp_local.evaluation.policies import NORMALIZATIONS
from dlp_local.evaluation.report import Report

FORMATS = ("png", "svg")
MOST_TASKS = 40
"""Rows and columns of a picture that one can still read."""

Draw = Callable[[Any, Report], None]


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def remove_plots(folder: Path) -> None:
    """Removes the pictures of an earlier report from a folder. Raises `OSError`."""
    for name in _PLOTS:
        for form in FORMATS:
            (folder / f"{name}.{form}").unlink(missing_ok=True)


def draw_plots(report: Report, folder: Path) -> list[str]:
    """Draws every picture that the report has numbers for; returns the names of the files. Raises `OSError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, (has_numbers, draw, size) in _PLOTS.items():
        if not has_numbers(report):
            continue
        figure = Figure(figsize=size(report), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, report)
        for form in FORMATS:
            with written_aside(folder / f"{name}.{form}") as part:
                metadata = {"Date": None} if form == "svg" else {}
                figure.savefig(part, format=form, dpi=150, metadata=metadata)
            written.append(f"{name}.{form}")
    return written


def _tasks(report: Report) -> list[str]:
    return list(next(iter(report["policies"].values()))["tasks"])


def _draw_tasks(figure: Any, report: Report) -> None:
    """A field for each task and policy, and the mean of all tasks; the darker, the better."""
    policies, tasks = report["policies"], _tasks(report)
    names = [*tasks, *(["mean"] if len(tasks) > 1 else [])]
    table = [[100 * _score(policy, name) for name in names] for policy in policies.values()]
    axes = figure.add_subplot()
    axes.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(policies)), list(policies))
    for y, row in enumerate(table):
        for x, value in enumerate(row):
            axes.text(x, y, f"{value:.1f}", ha="center", va="center", color="white" if value > 60 else "black", size=8)
    axes.set_title("Score of each task under each policy, %")


def _score(policy: Mapping[str, Any], task: str) -> float:
    return float((policy["tasks"].get(task) or policy)["score"])


def _draw_policies(figure: Any, report: Report) -> None:
    """The score of each policy over all tasks, with its interval."""
    policies = report["policies"]
    axes = figure.add_subplot()
    _draw_intervals(axes, range(len(policies)), list(policies.values()), horizontal=True)
    axes.set_yticks(range(len(policies)), list(policies))
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("score, % (95 % interval)")
    axes.set_title("Score of each policy, mean of the tasks")


def _draw_intervals(axes: Any, where: Any, entries: Any, label: str | None = None, *, horizontal: bool = False) -> None:
    scores = [100 * entry["score"] for entry in entries]
    errors = [
        [score - 100 * entry["low"] for score, entry in zip(scores, entries, strict=True)],
        [100 * entry["high"] - score for score, entry in zip(scores, entries, strict=True)],
    ]
    if horizontal:
        axes.errorbar(scores, where, xerr=errors, fmt="o", capsize=3)
    else:
        axes.errorbar(where, scores, yerr=errors, fmt="o-", capsize=3, label=label)


def _sweep(report: Report) -> dict[str, dict[float, Mapping[str, Any]]]:
    """For each normalization the policies of top-p by their p."""
    found: dict[str, dict[float, Mapping[str, Any]]] = {}
    for name, entry in report["policies"].items():
        kind, *parts = name.split(":")
        numbers = [part for part in parts if part not in NORMALIZATIONS]
        if kind == "top-p" and numbers:
            how = next((part for part in parts if part in NORMALIZATIONS), "as the settings normalize")
            found.setdefault(how, {})[float(numbers[0])] = entry
    return {how: points for how, points in found.items() if len(points) > 1}


def _draw_sweep(figure: Any, report: Report) -> None:
    """The score against p, a line for each normalization; other policies as lines across."""
    axes = figure.add_subplot()
    for how, points in _sweep(report).items():
        where = sorted(points)
        _draw_intervals(axes, where, [points[p] for p in where], how)
    for index, name in enumerate(name for name in ("oracle", "top1", "base") if name in report["policies"]):
        score = 100 * report["policies"][name]["score"]
        axes.axhline(score, linestyle=("--", "-.", ":")[index], color="gray", label=name)
    axes.set_xlabel("p of top-p")
    axes.set_ylabel("score, % (95 % interval)")
    axes.grid(alpha=0.3)
    axes.legend()
    axes.set_title("Score against p")


def _mixed(report: Report) -> dict[str, dict[str, Any]]:
    return {policy: counts for policy, counts in report["by_adapters"].items() if len(counts) > 1}


def _draw_adapters(figure: Any, report: Report) -> None:
    """Score and time against the number of adapters in the mix, a line for each policy that mixes."""
    left, right = figure.subplots(1, 2)
    for policy, counts in _mixed(report).items():
        where = [int(count) for count in counts]
        left.plot(where, [100 * entry["score"] for entry in counts.values()], "o-", label=policy)
        right.plot(where, [entry["answer"] for entry in counts.values()], "o-", label=policy)
    for axes, what in ((left, "score of the rows, %"), (right, f"s an answer, {report['at_once']} at once")):
        axes.set_xlabel("adapters in the mix")
        axes.set_ylabel(what)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    left.legend(fontsize=8)
    figure.suptitle("By the number of adapters in the mix (the rows differ from one number to the other)")


def _draw_calibration(figure: Any, report: Report) -> None:
    """How often the router is right against how sure it is; the size of a point is its share of the rows."""
    routing = report["routing"]
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--")
    bins = routing["bins"]
    sizes = [30 + 400 * one["rows"] / routing["rows"] for one in bins]
    axes.plot([one["sure"] for one in bins], [one["right"] for one in bins], alpha=0.5)
    axes.scatter([one["sure"] for one in bins], [one["right"] for one in bins], s=sizes, alpha=0.7)
    axes.set_xlabel("how sure the router is")
    axes.set_ylabel("share routed right")
    axes.grid(alpha=0.3)
    axes.set_title(f"Calibration: error {100 * routing['calibration_error']:.1f} %, {routing['rows']} rows")


def _draw_confusion(figure: Any, report: Report) -> None:
    """Where the rows of each adapter went, in percent of them."""
    chosen = report["routing"]["chosen"]
    names = sorted({*chosen, *(name for counts in chosen.values() for name in counts)})
    rights = list(chosen)
    shares = [[100 * chosen[right].get(name, 0) / sum(chosen[right].values()) for name in names] for right in rights]
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(rights)), rights)
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            if share:
                color = "white" if share > 60 else "black"
                axes.text(x, y, f"{share:.0f}", ha="center", va="center", color=color, size=8)
    axes.set_xlabel("went to")
    axes.set_ylabel("belongs to")
    axes.set_title(f"Routing, % of each adapter's rows ({100 * report['routing']['accuracy']:.1f} % right)")


def _square(report: Report) -> tuple[float, float]:
    side = 2.5 + 0.5 * min(len(report["routing"]["chosen"]), MOST_TASKS)
    return (max(side + 1, 5.0), max(side, 4.0))


_PLOTS: Mapping[str, tuple[Callable[[Report], Any], Draw, Callable[[Report], tuple[float, float]]]] = {
    "policies": (
        lambda report: True,
        _draw_policies,
        lambda report: (7.0, 1.5 + 0.35 * len(report["policies"])),
    ),
    "tasks": (
        lambda report: True,
        _draw_tasks,
        lambda report: (2.5 + 0.8 * min(len(_tasks(report)) + 1, MOST_TASKS), 1.8 + 0.4 * len(report["policies"])),
    ),
    "top-p": (_sweep, _draw_sweep, lambda report: (7.0, 4.5)),
    "adapters": (_mixed, _draw_adapters, lambda report: (9.0, 4.0)),
    "calibration": (lambda report: report["routing"], _draw_calibration, lambda report: (5.0, 4.5)),
    "confusion": (lambda report: report["routing"], _draw_confusion, _square),
}
"""Each picture by its name: whether there are numbers for it, how it is drawn, and how large it is."""
