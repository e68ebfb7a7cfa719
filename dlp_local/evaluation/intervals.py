"""How sure a score is: bootstrap intervals over rows, and a paired permutation test of two policies on the same rows.

Rows are put in groups, one for each task and metric, in an order of their own, so that the order in which they were
read changes nothing. The score of a task is the mean of its groups by their rows, that of a policy the mean of its
tasks. All policies are judged by the same drawings.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlp_local.evaluation.metrics.metric import Floats, Metric

DRAWINGS = 2000
LEVEL = 0.95
SEED = 0
TOLERANCE = 1e-9
"""Differences that are equal but for rounding are equal."""

AT_ONCE = 4_000_000
"""Numbers of a matrix of drawings that are made at a time."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one task and metric: for each policy what was measured of each row, shape (rows, k), in one order."""

    task: str
    metric: Metric
    measures: Mapping[str, Floats]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.measures.values())))


@dataclass(frozen=True, slots=True)
class Interval:
    """A score from 0 to 1, and the interval that 95 of 100 drawings of the rows give."""

    score: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """The three as JSON has them."""
        return {"score": round(self.score, 6), "low": round(self.low, 6), "high": round(self.high, 6)}


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a policy is better than another one, its interval, and how probable so great a difference is where
    the two are equally good: p of a two-sided paired permutation test.
    """

    interval: Interval
    p: float

    def as_dict(self) -> dict[str, float]:
        """The difference as JSON has it."""
        values = self.interval.as_dict()
        return {"difference": values["score"], "low": values["low"], "high": values["high"], "p": round(self.p, 6)}


Sums = Mapping[tuple[str, str, int, str], Floats]
"""What was measured, summed up over the rows of each drawing, shape (DRAWINGS, k): by `_key`."""


def draw_sums(groups: Iterable[Group]) -> Sums:
    """The sums of groups under each policy over rows that are drawn again and again, with replacement.

    Each group's rows are drawn once for all its policies and metrics.
    """
    same_rows = defaultdict[tuple[str, int], list[Group]](list)
    for group in groups:
        same_rows[group.task, group.rows].append(group)
    pieces = defaultdict[tuple[str, str, int, str], list[Floats]](list)
    for (task, rows), alike in same_rows.items():
        rng, shares = _rng(task, rows, 0), np.full(rows, 1 / rows)
        for size in _sizes(rows):
            counts = rng.multinomial(rows, shares, size=size).astype(np.float64)
            for group in {group.metric.name: group for group in alike}.values():
                for policy, measures in group.measures.items():
                    pieces[_key(group, policy)].append(counts @ measures)
    return {key: np.concatenate(parts) for key, parts in pieces.items()}


def _key(group: Group, policy: str) -> tuple[str, str, int, str]:
    return group.task, group.metric.name, group.rows, policy


def scores(groups: Sequence[Group], policy: str, sums: Sums) -> dict[str, Interval]:
    """The score of a policy by task, and "" → that of all tasks; no groups give nothing. `sums` are of the groups."""
    return _intervals(groups, _of_all(groups, policy), _of_drawings(groups, policy, sums))


def differences(groups: Sequence[Group], policy: str, other: str, sums: Sums) -> dict[str, Difference]:
    """What a policy has over another one by task, and "" → over all tasks; no groups give nothing."""
    one, two = _of_all(groups, policy), _of_all(groups, other)
    pairs = zip(_of_drawings(groups, policy, sums), _of_drawings(groups, other, sums), strict=True)
    intervals = _intervals(groups, [a - b for a, b in zip(one, two, strict=True)], [a - b for a, b in pairs])
    swapped = _by_task(groups, [_swapped(group, policy, other) for group in groups])
    return {
        task: Difference(
            interval, float((1 + np.sum(abs(swapped[task]) >= abs(interval.score) - TOLERANCE)) / (1 + DRAWINGS))
        )
        for task, interval in intervals.items()
    }


def _intervals(groups: Sequence[Group], exact: Sequence[Floats], drawn: Sequence[Floats]) -> dict[str, Interval]:
    found, tails = {}, (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)
    many = _by_task(groups, drawn)
    for task, score in _by_task(groups, exact).items():
        low, high = np.percentile(many[task], tails)
        value = float(score[0])
        found[task] = Interval(value, min(float(low), value), max(float(high), value))
    return found


def _by_task(groups: Sequence[Group], of_groups: Sequence[Floats]) -> dict[str, Floats]:
    """Scores of groups, each of shape (d,), to those of the tasks, and "" → the mean of these."""
    if not groups:
        return {}
    sums: dict[str, Floats] = {}
    rows: dict[str, int] = {}
    for group, values in zip(groups, of_groups, strict=True):
        sums[group.task] = sums.get(group.task, np.zeros(1)) + values * group.rows
        rows[group.task] = rows.get(group.task, 0) + group.rows
    tasks = {task: np.asarray(total / rows[task]) for task, total in sums.items()}
    return {"": np.asarray(sum(tasks.values()) / len(tasks))} | tasks


def _of_all(groups: Sequence[Group], policy: str) -> list[Floats]:
    """The score of each group's rows as they are, shape (1,)."""
    return [group.metric.total(group.measures[policy].sum(axis=0, keepdims=True)) for group in groups]


def _of_drawings(groups: Sequence[Group], policy: str, sums: Sums) -> list[Floats]:
    """The scores of each group's drawings, shape (DRAWINGS,)."""
    return [group.metric.total(sums[_key(group, policy)]) for group in groups]


def _rng(task: str, rows: int, use: int) -> np.random.Generator:
    """Random numbers that are the same for all policies and metrics of the same rows."""
    return np.random.default_rng([SEED, use, zlib.crc32(task.encode()), rows])


def _swapped(group: Group, policy: str, other: str) -> Floats:
    """The differences of two policies where each row's answers are swapped at random, shape (DRAWINGS,)."""
    rng = _rng(group.task, group.rows, 1)
    one, two = group.measures[policy], group.measures[other]
    moved = np.concatenate([rng.integers(0, 2, (size, group.rows)) @ (one - two) for size in _sizes(group.rows)])
    return np.asarray(group.metric.total(one.sum(axis=0) - moved) - group.metric.total(two.sum(axis=0) + moved))


def _sizes(rows: int) -> list[int]:
    """The drawings in pieces that fit into the memory."""
    most = max(1, AT_ONCE // rows)
    return [min(most, DRAWINGS - start) for start in range(0, DRAWINGS, most)]


def means(groups: Sequence[Group], policy: str) -> dict[str, float]:
    """The scores of `scores` without their intervals."""
    return {task: float(score[0]) for task, score in _by_task(groups, _of_all(groups, policy)).items()}
