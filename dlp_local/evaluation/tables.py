"""The tables of a report: printed on the screen, and written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlp_local.core.text import counted
from dlp_local.evaluation.policies import TOP_1
from dlp_local.evaluation.report import Report

SHOWN = 10
"""Confusions that are told one by one, and on the screen problems."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title; of each row the first cell is its name, or the first few (`names`) are."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


def tables(report: Report) -> list[Table]:
    """Every table of a report that has rows."""
    found = [_policies(report), _tasks(report), _metrics(report), _adapters(report), _confusion(report)]
    return [table for table in found if table.rows]


def notes(report: Report) -> list[str]:
    """How the numbers came about, in sentences."""
    told = [
        f"Pack {report['pack']}, {counted(report['rows'], 'row')}, {counted(report['seeds'], 'seed')}. "
        f"{_greedy(report)}, at most {report['max_tokens']} tokens an answer, "
        f"{counted(report['at_once'], 'answer')} at once.",
        f"Scores are in percent; the score over all is the mean of the tasks. Intervals: 95 %, by {report['drawings']} "
        f"bootstrap drawings of the rows."
        f"{f' p: two-sided paired permutation test against {TOP_1}.' if _has(report, 'against_top1') else ''}",
    ]
    if routing := report["routing"]:
        recall = routing["base_recall"]
        told.append(
            f"Routing: {routing['accuracy']:.1%} of {counted(routing['rows'], 'row')} to the right adapter, "
            f"calibration error {routing['calibration_error']:.1%}, {routing['base_share']:.1%} of adapters' rows sent "
            f"to base"
            f"{'' if recall is None else f', {recall:.1%} of those of base sent there'}."
        )
    told += [f"{what}." for what in _same_rows(report)]
    told += [
        f"{policy}: in {counted(count, 'answer')} the oldest turns before the message did not fit the context and were "
        "left out."
        for policy, count in report["trimmed"].items()
    ]
    if report["remote"]:
        told.append("Another program computed the answers: in another run some may read otherwise.")
    return told + [f"{name}: {signature}" for name, signature in report["signatures"].items()]


def _same_rows(report: Report) -> list[str]:
    told = (
        (report["repeated"], "written twice, counted once"),
        (report["joined"], "with the question of another row, counted as that one: the answers of both are right"),
    )
    return [f"{counted(count, 'row')} {what}" for count, what in told if count]


def problem_lines(report: Report, most: int | None = None) -> list[str]:
    """The rows that could not be measured, each with its line and the reason; at most so many of them."""
    return [f"line {problem['line']}: {problem['error']}" for problem in report["problems"][:most]]


def markdown(report: Report, plots: Sequence[str] = ()) -> str:
    """The report as Markdown; `plots` are files of pictures beside it."""
    parts = ["# Evaluation", *notes(report)]
    for table in tables(report):
        parts.append(f"## {table.title}")
        lines = [table.header, tuple("---" if index == 0 else "---:" for index in range(len(table.header)))]
        parts.append("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in (*lines, *table.rows)))
    if problems := problem_lines(report):
        parts += [f"## Rows that could not be measured: {len(report['problems'])}"]
        parts.append("\n".join(f"- {_cell(problem)}" for problem in problems))
    parts += [f"![{name.rpartition('.')[0].replace('-', ' ')}]({name})" for name in plots]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _greedy(report: Report) -> str:
    return f"Temperature {report['temperature']:g}" if report["temperature"] else "Greedy"


def _percent(entry: dict[str, Any]) -> str:
    return f"{100 * entry['score']:.1f}"


def _interval(entry: dict[str, Any]) -> str:
    return f"{100 * entry['low']:.1f}…{100 * entry['high']:.1f}"


def _has(report: Report, key: str) -> bool:
    return any(key in entry for entry in report["policies"].values())


def _policies(report: Report) -> Table:
    policies = report["policies"]
    has = {key: _has(report, key) for key in ("share_of_oracle", "against_top1", "seeds")}
    header: tuple[str, ...] = ("policy", "score", "95 %")
    header += ("of oracle",) if has["share_of_oracle"] else ()
    header += (f"against {TOP_1}", "p") if has["against_top1"] else ()
    header += ("seeds",) if has["seeds"] else ()
    rows = []
    for name, entry in policies.items():
        cells: tuple[str, ...] = (name, _percent(entry), _interval(entry))
        if has["share_of_oracle"]:
            share = entry["share_of_oracle"]
            cells += ("-" if share is None else f"{100 * share:.1f} %",)
        if has["against_top1"]:
            against = entry.get("against_top1")
            cells += (f"{100 * against['difference']:+.1f}", f"{against['p']:.3f}") if against else ("", "")
        if has["seeds"]:
            cells += (" ".join("-" if seed is None else f"{100 * seed:.1f}" for seed in entry["seeds"]),)
        seconds = report["seconds"][name]
        rows.append((*cells, f"{seconds['answer']:.2f}", f"{seconds['first_token']:.2f}"))
    return Table("Policies", (*header, "s an answer", "s to first token"), tuple(rows))


def _tasks(report: Report) -> Table:
    policies = report["policies"]
    tasks = next(iter(policies.values()))["tasks"]
    rows = tuple(
        (task, entry["metric"], str(entry["rows"]), *(_percent(policy["tasks"][task]) for policy in policies.values()))
        for task, entry in tasks.items()
    )
    return Table("Tasks", ("task", "metric", "rows", *policies), rows)


def _metrics(report: Report) -> Table:
    policies = report["policies"]
    first = next(iter(policies.values()))
    names, own = list(first["metrics"]), {name for e in first["tasks"].values() for name in e["metric"].split(", ")}
    rows = tuple(
        (name, *(_percent(policy["metrics"][name]) for policy in policies.values()))
        for name in names
        if len(names) > len(own)
    )
    return Table("Every metric, over the rows that have it", ("metric", *policies), rows)


def _adapters(report: Report) -> Table:
    rows = tuple(
        (
            *(policy, count, str(entry["answers"]), _percent(entry)),
            *(f"{entry['answer']:.2f}", f"{entry['first_token']:.2f}"),
        )
        for policy, of_policy in report["by_adapters"].items()
        for count, entry in of_policy.items()
        if len(of_policy) > 1
    )
    header = ("policy", "adapters", "answers", "score", "s an answer", "s to first token")
    return Table("By the number of adapters in the mix", header, rows, names=2)


def _confusion(report: Report) -> Table:
    wrong = (report["routing"] or {"confusion": []})["confusion"][:SHOWN]
    rows = tuple((mistake["adapter"], mistake["as"], str(mistake["rows"])) for mistake in wrong)
    return Table("Routed wrong", ("adapter", "went to", "rows"), rows, names=2)
