"""Every task of the pack under every policy, top-p from 0.5 to 1.0, and the messages that lie between tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlp_local.core.text import counted
from tools.experiments.answered import OPTIONS, answer_all, eval_rows, opened, shots, valid_rows
from tools.experiments.markdown import interval, percent, section, table
from tools.experiments.part import Figures, Part, Setup

POLICIES = (
    "base", "few-shot:5", "oracle", "per-query-oracle", "top1", "top-p", "top-p:0.9:softmax", "uniform", "held-out",
    "all", "parts",
)  # fmt: skip
SUMS = ("0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "0.99", "1.0")

SURE = 0.9
"""Probability under which a message lies between tasks."""

BETWEEN_ROWS = 2000
"""Of each task, those that such messages are looked for among; most are surely one task's."""

BETWEEN = (
    "base", "oracle", "per-query-oracle", "top1", "top-p:0.5", "top-p:0.7", "top-p:0.9", "top-p:1.0",
    "top-p:0.9:softmax", "uniform",
)  # fmt: skip


def every_policy(setup: Setup) -> Figures:
    """All policies on the same rows."""
    rows = eval_rows(setup.recipe, valid_rows(setup.recipe, setup.data, setup.rows))
    with opened(setup) as assistant:
        _, report = answer_all(setup, assistant, rows, ",".join(POLICIES), shots(setup.recipe, setup.data))
    return condensed(report)


def sweep(setup: Setup) -> Figures:
    """Top-p at several sums, between top-1 and the oracle."""
    rows = eval_rows(setup.recipe, valid_rows(setup.recipe, setup.data, setup.rows))
    with opened(setup) as assistant:
        _, report = answer_all(setup, assistant, rows, ",".join(["oracle", "top1", *(f"top-p:{p}" for p in SUMS)]))
    return condensed(report)


def between(setup: Setup) -> Figures:
    """The valid rows whose most probable label has less than `SURE`, under policies that mix differently."""
    rows = eval_rows(setup.recipe, valid_rows(setup.recipe, setup.data, BETWEEN_ROWS))
    with opened(setup) as assistant:
        unsure = [row for row in rows if max(assistant.route(row.text).probabilities.values()) < SURE]
        _, report = answer_all(setup, assistant, unsure, ",".join(BETWEEN))
    return condensed(report) | {"among": len(rows)}


def condensed(report: Mapping[str, Any]) -> Figures:
    """Of a report of `dlp-local eval` what the page shows, and how it came about."""
    kept = ("score", "low", "high", "rows", "share_of_oracle", "against_top1")
    policies = {
        name: {key: entry[key] for key in kept if key in entry}
        | {"tasks": {task: {key: of[key] for key in ("metric", *kept) if key in of} for task, of in tasks.items()}}
        for name, entry in report["policies"].items()
        for tasks in [entry["tasks"]]
    }
    routing = {key: report["routing"][key] for key in ("rows", "accuracy", "calibration_error", "base_share")}
    mixed = {
        name: sum(of["answers"] for count, of in counts.items() if int(count) > 1)
        for name, counts in report["by_adapters"].items()
    }
    return {
        "rows": report["rows"],
        "problems": len(report["problems"]),
        "policies": policies,
        "routing": routing,
        "mixed": mixed,
        "signatures": report["signatures"],
    }


def _scores(found: Figures) -> str:
    rows = []
    for name, entry in found["policies"].items():
        against = entry.get("against_top1")
        difference = [percent(against["difference"], signed=True), f"{against['p']:.3f}"] if against else ["", ""]
        mixed = found["mixed"].get(name)
        count = "" if mixed is None else str(mixed)
        rows.append([name, interval(entry), percent(entry.get("share_of_oracle")), *difference, count])
    return table(["policy", "score (95 %)", "of oracle, %", "against top1", "p", "rows under several adapters"], rows)


def _tasks(found: Figures) -> str:
    policies = found["policies"]
    first = next(iter(policies.values()))["tasks"]
    rows = (
        [task, of["metric"], str(of["rows"]), *(percent(entry["tasks"][task]["score"]) for entry in policies.values())]
        for task, of in first.items()
    )
    return table(["task", "metric", "rows", *policies], rows)


def _about(found: Figures) -> str:
    routing, left_out = found["routing"], found["problems"]
    told = [f"{counted(left_out, 'row')} could not be answered and are in no figure."] if left_out else []
    told += [f"{name}: {signature}." for name, signature in found["signatures"].items() if name == "bleu"]
    about = (
        f"{found['rows']} valid rows, routed right {percent(routing['accuracy'])} %, calibration error "
        f"{percent(routing['calibration_error'])} %, sent to base {percent(routing['base_share'])} %."
    )
    return " ".join([about, *told])


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    blocks = [
        "## Every task under every policy",
        f"Through the product as `dlp-local eval` does it, greedy, at most {OPTIONS.max_tokens} tokens an answer. "
        "[docs/evaluation.md](evaluation.md) says what the policies and metrics are, and how intervals and p are "
        "computed. `all` is the mean of all adapters as well (`merged`). Rows of `extract` that are not about a "
        "booking are left out. `describe` is BLEU, the others shares of right answers, all in percent; the score "
        "is the mean of the tasks.",
    ]
    if every := found.get("policies"):
        blocks += [_about(every), _scores(every), _tasks(every)]
    if sums := found.get("sweep"):
        blocks += ["### The sum p that top-p reaches", _scores(sums)]
    if unsure := found.get("between"):
        blocks += [
            "### Messages between tasks",
            f"Of {unsure['among']:,} valid rows those {unsure['rows']} whose most probable label has less than {SURE}: "
            "the score is the mean of the tasks that they are of, each with few rows.",
            _scores(unsure),
            _tasks(unsure),
        ]
    blocks.append(
        "**The paper beside ours.** It reports one router, and neither an oracle, nor top-1, nor other sums than "
        "one: there is nothing to put beside these columns. Its public code takes a softmax of the kept "
        "probabilities, which makes mixes nearly uniform; that is `top-p:0.9:softmax` here. LORAUTER (arXiv "
        "2601.21795) reports 101.2 % of the task's own adapter with it in the pool, and 88.4 % held out; `of "
        "oracle` is the ratio in the pool and, of `held-out`, without the row's own adapter, of other tasks."
    )
    return section(*blocks)


PART = Part("policies", ("rows",), {"policies": every_policy, "sweep": sweep, "between": between}, page)
