"""The report of an evaluation, in the one form in which it is printed, stored, drawn and read again: JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlp_local.evaluation.intervals import DRAWINGS, Difference, Group, Interval, differences, draw_sums, means, scores
from dlp_local.evaluation.metrics import METRICS
from dlp_local.evaluation.metrics.metric import Floats
from dlp_local.evaluation.metrics.overlap import bleu_signature
from dlp_local.evaluation.policies import ORACLE, TOP_1
from dlp_local.evaluation.routing_figures import routing_figures
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import RowProblem
from dlp_local.evaluation.runner import Measured, Outcome, Plan

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """Of what a report came about, beside the plan: the pack, and how many answers were computed at once.

    `remote`: another program computed them.
    """

    pack: str
    at_once: int
    remote: bool = False


def build_report(measured: Measured, plan: Plan, setting: Setting, problems: Sequence[RowProblem] = ()) -> Report:
    """The report of what was measured; `problems` are the lines that were no rows.

    Scores are shares from 0 to 1. `policies` has nothing in it that another run of the same rows and seeds would
    measure otherwise; what the clock says is in `seconds` and `by_adapters`. `repeated` rows were there before;
    `joined` ones ask what another one does, whose answers then are both theirs. `trimmed`: by policy, answers for which
    the oldest of what was said before did not fit the context.
    """
    outcomes = measured.outcomes
    names = [policy.name for policy in plan.policies]
    rows = list({outcome.row.identity: outcome.row for outcome in outcomes}.values())
    different = len({row.identity for row in plan.rows})
    every = sorted((*problems, *measured.problems), key=lambda problem: problem.line)
    return {
        "pack": setting.pack,
        "rows": len(rows),
        "repeated": len(plan.rows) - different,
        "joined": different - len(plan.each),
        "seeds": plan.seeds,
        "temperature": plan.options.temperature,
        "max_tokens": plan.options.max_tokens,
        "drawings": DRAWINGS,
        "problems": [{"line": problem.line, "error": problem.reason} for problem in every],
        "policies": _policies(outcomes, names, plan.seeds),
        "routing": routing_figures(rows, measured.probabilities or {}),
        "at_once": setting.at_once,
        "remote": setting.remote,
        "seconds": {name: _times(outcome for outcome in outcomes if outcome.policy == name) for name in names},
        "trimmed": {name: count for name in names if (count := _trimmed(outcomes, name))},
        "by_adapters": _by_adapters(outcomes, [policy.name for policy in plan.policies if policy.is_routed]),
        "signatures": _signatures(rows),
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """One outcome, for those who want to see what was answered."""
    row = outcome.row
    return {
        "line": row.line,
        "seed": outcome.seed,
        "policy": outcome.policy,
        "text": row.text,
        "answer": outcome.answer,
        "answers": list(row.answers),
        "metric": row.metric,
        "score": round(outcome.value, 6),
        "adapter": row.adapter,
    }


def _groups(outcomes: Sequence[Outcome], metric: str | None = None) -> list[Group]:
    """The outcomes by task and by the rows' own metric, or by another one that was measured, too.

    Each row is one, whatever the number of seeds: what its answers measure is added up.
    """
    found = defaultdict[tuple[str, str], dict[str, dict[str, Floats]]](lambda: defaultdict(dict))
    for outcome in outcomes:
        name = metric or outcome.row.metric
        if name in outcome.measures:
            of_policy = found[outcome.row.task, name][outcome.policy]
            before = of_policy.get(outcome.row.identity, 0.0)
            of_policy[outcome.row.identity] = before + np.array(outcome.measures[name], np.float64)
    return [
        Group(task, METRICS[name], {policy: _in_order(rows) for policy, rows in of_policies.items()})
        for (task, name), of_policies in sorted(found.items())
    ]


def _in_order(rows: Mapping[str, Floats]) -> Floats:
    """What was measured of each row, shape (rows, k), in the order of their identities."""
    return np.array([rows[identity] for identity in sorted(rows)])


def _policies(outcomes: Sequence[Outcome], names: Sequence[str], seeds: int) -> dict[str, Any]:
    groups, found = _groups(outcomes), dict[str, Any]()
    of_oracle = means(groups, ORACLE) if ORACLE in names else {}
    measured = dict.fromkeys(name for outcome in outcomes for name in outcome.measures)
    by_metric = {name: _groups(outcomes, name) for name in measured}
    sums = draw_sums([*groups, *(group for of_metric in by_metric.values() for group in of_metric)])
    rows = Counter[str]()
    for group in groups:
        rows.update({group.task: group.rows, "": group.rows})
    for policy in names:
        against = differences(groups, policy, TOP_1, sums) if TOP_1 in names and policy != TOP_1 else {}
        entries = {
            task: _entry(interval, rows[task], of_oracle.get(task), against.get(task))
            for task, interval in scores(groups, policy, sums).items()
        }
        tasks = {
            task: {"metric": ", ".join(group.metric.name for group in groups if group.task == task)} | entry
            for task, entry in entries.items()
            if task
        }
        metrics = {name: scores(of_metric, policy, sums)[""].as_dict() for name, of_metric in by_metric.items()}
        found[policy] = entries[""] | {"tasks": tasks, "metrics": metrics}
        if seeds > 1:
            found[policy]["seeds"] = [_of_seed(outcomes, policy, seed) for seed in range(seeds)]
    return found


def _entry(interval: Interval, rows: int, of_oracle: float | None, against: Difference | None) -> dict[str, Any]:
    """A score with what it is compared with: that of the oracle, where there is one, and top-1's."""
    entry: dict[str, Any] = interval.as_dict() | {"rows": rows}
    if of_oracle is not None:
        entry["share_of_oracle"] = round(interval.score / of_oracle, 6) if of_oracle else None
    if against is not None:
        entry["against_top1"] = against.as_dict()
    return entry


def _of_seed(outcomes: Sequence[Outcome], policy: str, seed: int) -> float | None:
    own = [outcome for outcome in outcomes if outcome.policy == policy and outcome.seed == seed]
    return round(means(_groups(own), policy)[""], 6) if own else None


def _times(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Mean seconds of an answer, and to its first token."""
    both = [(outcome.seconds, outcome.first_token) for outcome in outcomes]
    answer, first_token = np.array(both).mean(axis=0).tolist()
    return {"answer": round(answer, 4), "first_token": round(first_token, 4)}


def _trimmed(outcomes: Iterable[Outcome], policy: str) -> int:
    return sum(bool(outcome.trimmed) for outcome in outcomes if outcome.policy == policy)


def _by_adapters(outcomes: Sequence[Outcome], routed: Sequence[str]) -> dict[str, Any]:
    """For each policy that routes: its rows by the number of adapters in their mix, with the score and the times."""
    found: dict[str, Any] = {}
    for policy in routed:
        own = [outcome for outcome in outcomes if outcome.policy == policy]
        counts = sorted({outcome.adapters for outcome in own})
        of_count = {count: [outcome for outcome in own if outcome.adapters == count] for count in counts}
        found[policy] = {
            str(count): {
                "answers": len(some),
                "score": round(float(np.mean(sorted(outcome.value for outcome in some))), 6),
                **_times(some),
            }
            for count, some in of_count.items()
        }
    return found


def _signatures(rows: Sequence[EvalRow]) -> dict[str, str]:
    """How exactly metrics of other packages were computed, as these packages call it."""
    references = [len(row.answers) for row in rows if METRICS[row.metric].package]
    if not references:
        return {}
    from importlib.metadata import version

    found = {}
    if any(row.metric == "bleu" for row in rows) or any("rouge" in row.metric for row in rows):
        found["bleu"] = bleu_signature(references)
        found["rouge"] = f"rouge-score {version('rouge-score')}, F₁, no stemmer, best reference"
    return found
