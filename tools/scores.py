"""What answers are scored by: the share that is right, in percent, or BLEU."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

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
    return answer.strip() == row.answer.strip()


def same_object(answer: str, row: Row) -> bool:
    """The same JSON object; the order of its keys, which the data leaves to chance, does not count."""
    try:
        return bool(json.loads(answer) == json.loads(row.answer))
    except ValueError:
        return False


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


_CONDITION = re.compile(r"(\w+) *(<=|>=|!=|<>|=|<|>|LIKE) *('(?:[^']|'')*'|-?\d+(?:\.\d+)?)")
_AGGREGATE = re.compile(r"\b(?:MIN|MAX|SUM|AVG)\((\w+)\)")
_COLUMNS = re.compile(r"columns:? (?:are )?(.+?)\.?$")
TABLE_ROWS = 60

Cells = Mapping[str, str | float]


def same_rows(answer: str, row: Row) -> bool:
    """Whether two queries give the same rows of a table in which about half of each condition's values fit."""
    return _same_rows(answer, row, _many_fit)


def same_lone_row(answer: str, row: Row) -> bool:
    """Whether two queries give the same of a table in which one row fits, as where a question has one answer."""
    return _same_rows(answer, row, _one_fits)


def _same_rows(answer: str, row: Row, rows_for: Callable[[Sequence[str], str], list[Cells]]) -> bool:
    if same_text(answer, row):
        return True
    columns = [name.strip() for name in _COLUMNS.findall(row.message.replace("\n", " "))[-1].split(",")]
    with closing(sqlite3.connect(":memory:")) as table:
        table.execute(f"CREATE TABLE t ({', '.join(f'[{name}]' for name in columns)})")
        rows = [[cells[name] for name in columns] for cells in rows_for(columns, row.answer)]
        table.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(columns))})", rows)
        try:
            return _run(table, answer) == _run(table, row.answer)
        except (sqlite3.Error, sqlite3.Warning):
            return False


def _many_fit(columns: Sequence[str], query: str) -> list[Cells]:
    """Rows that hold what a query compares them with about half of the time, or a number near to it."""
    rng, asked = random.Random(0), defaultdict[str, list[str]](list)
    for name, _, value in _CONDITION.findall(query):
        asked[name].append(_text(value))
    return [{name: _value(asked[name], rng) for name in columns} for _ in range(TABLE_ROWS)]


def _one_fits(columns: Sequence[str], query: str) -> list[Cells]:
    """Rows of which one fits all conditions of a query, and each other one all but one; what it sums up are numbers."""
    rng, conditions = random.Random(0), _CONDITION.findall(query)
    numbers = set(_AGGREGATE.findall(query))
    rows: list[Cells] = []
    for index in range(TABLE_ROWS if conditions else 1):
        cells = {name: float(rng.randrange(1000)) if name in numbers else _value((), rng) for name in columns}
        missed = index % len(conditions) if index else -1
        for number, (name, sign, value) in enumerate(conditions):
            if number != missed:
                cells[name] = _fitting(sign, _text(value))
            elif isinstance(cells[name], float) and sign in "<>=":  # another number could fit by chance
                cells[name] = _fitting({"<": ">", ">": "<", "<=": ">", ">=": "<"}.get(sign, ">"), _text(value))
        rows.append(cells)
    return rows


def _fitting(sign: str, value: str) -> str | float:
    """What fits a comparison with a value."""
    direction = {"<": -1, "<=": -1, ">": 1, ">=": 1, "!=": 1, "<>": 1}.get(sign, 0)
    try:
        return float(value) + direction
    except ValueError:
        return {-1: "", 0: value, 1: f"{value}z"}[direction]


def _text(value: str) -> str:
    """A value without the quotation marks of SQL."""
    return value.strip("'").replace("''", "'")


def _run(table: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    return sorted(table.execute(query).fetchall(), key=repr)


def _value(asked: Sequence[str], rng: random.Random) -> str | float:
    """A value that is asked for, a number near to it, or any other."""
    if asked and rng.random() < 0.5:
        value = rng.choice(asked)
        try:
            return float(value) + rng.choice((0, 0, 1, -1))
        except ValueError:
            return value
    return float(rng.randrange(1000)) if rng.random() < 0.5 else f"text {rng.randrange(1000)}"


def bleu(given: Sequence[str], wanted: Sequence[Sequence[Row]]) -> float:
    """Corpus BLEU of one answer a message against all its references."""
    import sacrebleu

    most = max(map(len, wanted))
    streams = [[rows[i].answer if i < len(rows) else None for rows in wanted] for i in range(most)]
    return float(sacrebleu.corpus_bleu(list(given), streams).score)


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
