"""SQL is scored by what it gives: both queries run on a table that is made for the one that is right."""

from __future__ import annotations

import random
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from dlp_local.evaluation.metrics.metric import mean_metric
from dlp_local.evaluation.metrics.words import same_text
from dlp_local.evaluation.row import EvalRow

TABLE_ROWS = 60
MOST_STEPS = 200
"""Thousands of instructions of SQLite's machine that a query may take."""

MOST_BYTES = 1 << 20
"""Of any value that a query makes."""

_CONDITION = re.compile(r"(\w+) *(<=|>=|!=|<>|=|<|>|LIKE) *('(?:[^']|'')*'|-?\d+(?:\.\d+)?)")
_AGGREGATE = re.compile(r"\b(?:MIN|MAX|SUM|AVG)\((\w+)\)")
_COLUMNS = re.compile(r"columns:? (?:are )?(.+?)\.?$")
_TABLE = re.compile(r"\bFROM\s+(\w+)", re.IGNORECASE)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_NAME = re.compile(r"\b[A-Za-z_]\w*\b(?!\s*\()")
_KEYWORDS = frozenset(
    "select distinct from where and or not in like is null between order group by having limit offset asc desc as case "
    "when then else end on join inner left outer cross union all except intersect exists glob collate nocase".split()
)
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})

Cells = Mapping[str, str | float]


def same_rows(answer: str, query: str, message: str) -> bool:
    """Whether two queries give the same rows of a table in which about half of each condition's values fit.

    The columns are those that the message names at its end (`columns: a, b`), or else those that the right query has.
    """
    return _same_rows(answer, query, message, _many_fit)


def same_lone_row(answer: str, query: str, message: str) -> bool:
    """Whether two queries give the same of a table in which one row fits, as where a question has one answer."""
    return _same_rows(answer, query, message, _one_fits)


def _same_rows(answer: str, query: str, message: str, rows_for: Callable[[Sequence[str], str], list[Cells]]) -> bool:
    if same_text(answer, query):
        return True
    columns = _columns(query, message)
    table = match[1] if (match := _TABLE.search(query)) else "t"
    with closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute(f"CREATE TABLE [{table}] ({', '.join(f'[{name}]' for name in columns)})")
            rows = [[cells[name] for name in columns] for cells in rows_for(columns, query)]
            database.executemany(f"INSERT INTO [{table}] VALUES ({', '.join('?' * len(columns))})", rows)
            _bind(database)
            return _run(database, answer) == _run(database, query)
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return False


def _columns(query: str, message: str) -> list[str]:
    if named := _COLUMNS.findall(message.replace("\n", " ")):
        return [name.strip() for name in named[-1].split(",")]
    names = _NAME.findall(_TABLE.sub("", _TEXT.sub("''", query)))
    return sorted({name for name in names if name.lower() not in _KEYWORDS}, key=str.lower) or ["c"]


def _bind(database: sqlite3.Connection) -> None:
    """From now on queries may read and nothing else, for a while, and values are of bounded length."""
    database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    left = iter(range(MOST_STEPS))
    database.set_progress_handler(lambda: next(left, None) is None, 1000)


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
            if name not in cells:
                continue
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


def _run(database: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    return sorted(database.execute(query).fetchall(), key=repr)


def _value(asked: Sequence[str], rng: random.Random) -> str | float:
    """A value that is asked for, a number near to it, or any other."""
    if asked and rng.random() < 0.5:
        value = rng.choice(asked)
        try:
            return float(value) + rng.choice((0, 0, 1, -1))
        except ValueError:
            return value
    return float(rng.randrange(1000)) if rng.random() < 0.5 else f"text {rng.randrange(1000)}"


def _any(same: Callable[[str, str, str], bool]) -> Callable[[str, EvalRow], float]:
    return lambda answer, row: float(any(same(answer, wanted, row.text) for wanted in row.answers))


SQL = mean_metric("sql", "the same rows when both queries run", _any(same_rows), also=("sql-one-row", "exact"))
SQL_ONE_ROW = mean_metric(
    "sql-one-row", "the same where one row of the table fits", _any(same_lone_row), also=("sql", "exact")
)
