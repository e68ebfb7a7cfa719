"""SQL is scored by what it gives: both queries run on a table that is made for the one that is right."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from dlp_local.evaluation.metrics.metric import mean_metric
from dlp_local.evaluation.metrics.query_tables import RowsFor, columns_of, many_fit, mentioned, one_fits, table_of
from dlp_local.evaluation.metrics.words import same_text
from dlp_local.evaluation.row import EvalRow

MOST_STEPS = 200
"""Thousands of instructions of SQLite's machine that a query may take."""

MOST_MENTIONED = 24
"""How often a query may name its common table expressions: each time they are compiled again, and those in them, which
no step counts."""

MOST_VALUE = 1 << 14
"""Bytes of any value that a query makes."""

MOST_BYTES = 1 << 22
"""Of all that a query gives."""

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_NO_COLUMN = re.compile(r"no such column: (?:.*\.)?(.+)", re.DOTALL)
_FAILURES = (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError)
"""What a query raises that cannot be run, or takes too much."""


def same_rows(answer: str, query: str, message: str) -> bool:
    """Whether two queries give the same rows of a table in which about half of each condition's values fit.

    The columns are those that the message names at its end (`columns: a, b`), and others that the right query has.
    Where it gives of that table what it gives of an empty one, neither is right that is written otherwise.
    """
    return _same_rows(answer, query, message, many_fit)


def same_lone_row(answer: str, query: str, message: str) -> bool:
    """Whether two queries give the same of a table in which one row fits, as where a question has one answer."""
    return _same_rows(answer, query, message, one_fits)


def _same_rows(answer: str, query: str, message: str, rows_for: RowsFor) -> bool:
    if same_text(answer, query):
        return True
    try:
        with closing(_filled(query, message, rows_for)) as database:
            return _run(database, answer) == _run(database, query)
    except _FAILURES:
        return False


def _filled(query: str, message: str, rows_for: RowsFor) -> sqlite3.Connection:
    """A table of which a query gives something, in a database that can be read and nothing else.

    Raises what `_FAILURES` has where it cannot be run, or gives nothing of any table that is made for it.
    """
    columns = columns_of(query, message)
    nothing = _of_empty_table(query, columns)
    for makers in ((rows_for,), (rows_for, one_fits, one_fits)):
        database = _table(query, columns, makers)
        try:
            if _run(database, query) != nothing:
                return database
        except _FAILURES:
            database.close()
            raise
        database.close()
    raise ValueError("it gives of a table that is made for it what it gives of an empty one")


def _of_empty_table(query: str, columns: list[str]) -> list[tuple[Any, ...]]:
    """What a query gives of a table without rows; columns that it has and the table lacks are added."""
    while True:
        with closing(_table(query, columns, ())) as database:
            try:
                return _run(database, query)
            except sqlite3.OperationalError as error:
                missing = _NO_COLUMN.fullmatch(str(error))
                if not missing or missing[1].casefold() in {name.casefold() for name in columns}:
                    raise
                columns.append(missing[1])


def _table(query: str, columns: Sequence[str], makers: Sequence[RowsFor]) -> sqlite3.Connection:
    """A database of one table, in which values are of bounded length from then on."""
    database = sqlite3.connect(":memory:")
    try:
        table = _quoted(table_of(query))
        database.execute(f"CREATE TABLE {table} ({', '.join(map(_quoted, columns))})")
        rows = [[cells[name] for name in columns] for maker in makers for cells in maker(columns, query)]
        database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    except _FAILURES:
        database.close()
        raise
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE)
    return database


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(database: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    """The rows that a query gives that reads and does nothing else, in an order of their own.

    Raises what `_FAILURES` has.
    """
    if mentioned(query) > MOST_MENTIONED:
        raise ValueError("it names its common table expressions too often")
    left = iter(range(MOST_STEPS))
    database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
    database.set_progress_handler(lambda: next(left, None) is None, 1000)
    rows, size = list[tuple[Any, ...]](), 0
    for row in database.execute(query):
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if size > MOST_BYTES:
            raise ValueError("it gives too much")
        rows.append(row)
    return sorted(rows, key=repr)


def _cannot_run(answers: Sequence[str]) -> str:
    """Why a right query cannot be judged by what it gives; nothing where each of them can."""
    for query in answers:
        try:
            _filled(query, "", many_fit).close()
        except _FAILURES as error:
            reason = " ".join(str(error).split()) or "it takes too much"
            return f'runs the right query on a table that is made for it, and cannot ({reason}). Name "exact".'
    return ""


def _any(same: Callable[[str, str, str], bool]) -> Callable[[str, EvalRow], float]:
    return lambda answer, row: float(any(same(answer, wanted, row.text) for wanted in row.answers))


SQL = mean_metric(
    "sql", "the same rows when both queries run", _any(same_rows), also=("sql-one-row", "exact"), misfit=_cannot_run
)
SQL_ONE_ROW = mean_metric(
    "sql-one-row", "the same where one row of the table fits", _any(same_lone_row), also=("sql", "exact"),
    misfit=_cannot_run,
)  # fmt: skip
