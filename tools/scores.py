"""What answers are scored by, in percent: metrics of `dlp-local eval`, and some of the data's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from dlp_local.core.json_text import is_same_json
from dlp_local.evaluation.metrics import queries, words
from dlp_local.evaluation.metrics.overlap import BLEU
from dlp_local.evaluation.row import EvalRow
from tools.booking_rows import is_booking
from tools.data import Row

Score = Callable[[Sequence[str], Sequence[Sequence[Row]]], float]
"""Of answers, and for each the rows of its message: any of their answers is right."""


def _share(is_right: Callable[[str, Row], bool]) -> Score:
    def score(given: Sequence[str], wanted: Sequence[Sequence[Row]]) -> float:
        right = sum(any(is_right(answer, row) for row in rows) for answer, rows in zip(given, wanted, strict=True))
        return 100 * right / len(given)

    return score


def _of_bookings(score: Score) -> Score:
    """The score of those rows of `extract` alone that are about a booking: base has a better answer to the others."""

    def of_bookings(given: Sequence[str], wanted: Sequence[Sequence[Row]]) -> float:
        pairs = [pair for pair in zip(given, wanted, strict=True) if any(map(is_booking, pair[1]))]
        return score([answer for answer, _ in pairs], [rows for _, rows in pairs]) if pairs else 0.0

    return of_bookings


def same_text(answer: str, row: Row) -> bool:
    """The same characters."""
    return words.same_text(answer, row.answer)


def same_object(answer: str, row: Row) -> bool:
    """The same JSON object; the order of its keys, which the data leaves to chance, does not count."""
    return is_same_json(answer, row.answer)


def same_rows(answer: str, row: Row) -> bool:
    """Whether two queries give the same rows of a table in which about half of each condition's values fit."""
    return queries.same_rows(answer, row.answer, row.message)


def same_lone_row(answer: str, row: Row) -> bool:
    """Whether two queries give the same of a table in which one row fits, as where a question has one answer."""
    return queries.same_lone_row(answer, row.answer, row.message)


def _first_command(command: str) -> str:
    return (command.split() or [""])[0]


def _flags(command: str) -> frozenset[str]:
    return frozenset(word for word in re.split(r"[\s|;]+", command) if word.startswith("-") and len(word) > 1)


def same_command(answer: str, row: Row) -> bool:
    """The same first command."""
    return _first_command(answer) == _first_command(row.answer)


def same_flags(answer: str, row: Row) -> bool:
    """The same first command and the same set of flags."""
    return same_command(answer, row) and _flags(answer) == _flags(row.answer)


def bleu(given: Sequence[str], wanted: Sequence[Sequence[Row]]) -> float:
    """Corpus BLEU of one answer a message against all its references."""
    rows = (EvalRow(one[0].message, tuple(row.answer for row in one), BLEU.name) for one in wanted)
    sums = np.sum([BLEU.measure(answer, row) for answer, row in zip(given, rows, strict=True)], axis=0)
    return 100 * float(BLEU.total(sums))


EXACT: dict[str, Score] = {"exactly right, %": _share(same_text)}
_OBJECT: dict[str, Score] = {"the same JSON object, %": _share(same_object)}
SCORES: dict[str, dict[str, Score]] = {
    "describe": {"BLEU, all references": bleu},
    "extract": _OBJECT | {"the same JSON object, of rows about a booking, %": _of_bookings(_share(same_object))},
    "actions": _OBJECT,
    "json": _OBJECT,
    "bash": EXACT
    | {"same first command and flags, %": _share(same_flags), "same first command, %": _share(same_command)},
    "sql": EXACT
    | {
        "the same rows when run, %": _share(same_rows),
        "the same where one row fits, %": _share(same_lone_row),
    },
}
"""The scores of each kind of rows, by what they are called; `EXACT` for any other."""


_NAMED = re.compile(r"\b(?:name|food|area|near)\[([^\]]+)\]")


def names_all(answer: str, row: Row) -> bool:
    """Whether a sentence about a restaurant has its name, food, area and neighbor; other attributes can be worded."""
    return all(value.lower() in answer.lower() for value in _NAMED.findall(row.message))


_RIGHT: dict[str, Callable[[str, Row], bool]] = {
    "describe": names_all, "extract": same_object, "actions": same_object, "json": same_object,
}  # fmt: skip


def is_right(kind: str, answer: str, row: Row) -> bool:
    """Whether one answer is right; for tasks of exact answers, whether it is the same text."""
    return _RIGHT.get(kind, same_text)(answer, row)
