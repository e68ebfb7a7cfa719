"""Questions of two and three tasks of BIG-Bench Hard in one message, and how many of them a reply answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dlp_local.core.values import BLANK_LINE
from dlp_local.evaluation.metrics.choices import chosen
from dlp_local.evaluation.row import EvalRow
from tools.experiments.bbh_rows import BbhTask

SIZES = (2, 3)


@dataclass(frozen=True, slots=True)
class Composite:
    """A message made of rows of different tasks, in their order."""

    text: str
    rows: tuple[EvalRow, ...]


def composites(tasks: Sequence[BbhTask], count: int, size: int) -> list[Composite]:
    """So many messages of `size` rows of different tasks, with an empty line between; none where tasks are too few."""
    rng = random.Random(size)
    if len(tasks) < size:
        return []
    drawn = [tuple(rng.choice(task.answered) for task in rng.sample(list(tasks), size)) for _ in range(count)]
    return [Composite(BLANK_LINE.join(row.text.strip() for row in rows), rows) for rows in drawn]


def answered(reply: str, rows: Sequence[EvalRow]) -> int:
    """How many rows the lines of a reply answer right, one line for each at most, in the order of the rows.

    It is the longest common subsequence of lines and rows, where a line that is right goes with its row.
    """
    lines = [line for line in reply.splitlines() if line.strip()]
    best = [0] * (len(lines) + 1)
    for row in rows:
        before, best = best, [0]
        for number, line in enumerate(lines):
            best.append(max(before[number + 1], best[-1], before[number] + is_right(line, row)))
    return best[-1]


def is_right(line: str, row: EvalRow) -> bool:
    """Whether a line is the right answer, or names the right one of the choices first."""
    return line.strip() in row.answers or (bool(row.choices) and chosen(line, row.choices) in row.answers)
