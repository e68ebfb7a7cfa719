"""The tasks of BIG-Bench Hard: the rows to train on, the valid rows, and between what their answers are chosen."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.evaluation.row import EvalRow
from tools.data import Row, read_jsonl
from tools.experiments.part import Setup

CLOSED = 2
"""Answers that a task without letters has at most where one of them is to be chosen: yes and no, valid and invalid."""

_LETTER = re.compile(r"^(\([A-Z]\)) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BbhTask:
    """A task: its training rows, all of its valid rows, and of these the ones that are answered.

    Rows that have choices, but whose answer is none of them, are in neither of the latter; there are `left_out`.
    """

    name: str
    train: tuple[Row, ...]
    valid: tuple[EvalRow, ...]
    answered: tuple[EvalRow, ...]
    is_lettered: bool
    left_out: int = 0

    def shots(self) -> list[EvalRow]:
        """The training rows, to stand before others as examples."""
        return [EvalRow(row.message, (row.answer,), "exact", self.name) for row in self.train]


def read_tasks(setup: Setup, seed: int) -> list[BbhTask]:
    """The tasks of a setup by name, always the same ones; a seed draws the training rows where not all are wanted."""
    train, valid = (_by_task(setup.data, split) for split in ("train", "valid"))
    if missing := train.keys() - valid.keys():
        raise InputError(f"{setup.data / 'bbh'}: there are no valid rows of {', '.join(sorted(missing))}.")
    names = sorted(train)
    drawn = sorted(random.Random(0).sample(names, min(setup.bbh_tasks, len(names))))
    return [make_task(name, train[name], valid[name], setup.bbh_rows, setup.rows, seed) for name in drawn]


def make_task(
    name: str, train: Sequence[Row], valid: Sequence[Row], most_rows: int, most_answered: int, seed: int
) -> BbhTask:
    """A task of all its rows: the valid ones that are answered are the same for each seed."""
    known, answers = {row.message for row in train}, {row.answer for row in train}
    new = [row for row in {row.message: row for row in valid}.values() if row.message not in known]
    rows = [row for one in new if (row := eval_row(name, one, choices(one.message, answers)))]
    drawn = random.Random(f"{seed} {name}").sample(list(train), min(most_rows, len(train)))
    answered = random.Random(name).sample(rows, min(most_answered, len(rows)))
    is_lettered = all(_LETTER.search(row.message) for row in train)
    return BbhTask(name, tuple(drawn), tuple(rows), tuple(answered), is_lettered, len(new) - len(rows))


def choices(message: str, answers: Collection[str]) -> tuple[str, ...]:
    """What a message lets choose between: its letters, or the task's answers where these are few; else nothing."""
    letters = tuple(dict.fromkeys(_LETTER.findall(message)))
    if len(letters) > 1:
        return letters
    return tuple(sorted(answers)) if len(answers) == CLOSED else ()


def eval_row(task: str, row: Row, of: tuple[str, ...]) -> EvalRow | None:
    """A row as `dlp-local eval` has it; None where its answer is none of its choices."""
    if of and row.answer not in of:
        return None
    return EvalRow(row.message, (row.answer,), "choice" if of else "exact", task, choices=of)


def _by_task(data: Path, split: str) -> Mapping[str, list[Row]]:
    found = defaultdict[str, list[Row]](list)
    for row in read_jsonl(data / "bbh" / f"{split}.jsonl.gz"):
        found[row["subtask"]].append(Row(row["prompt"], row["answer"], row["subtask"]))
    return found
