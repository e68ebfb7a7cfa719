"""Where in a TOML file a field stands; `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'" r"|#[^\n]*|[^\"'#\[\]{}\n]+|.",
    re.DOTALL,
)
"""A string, a comment, a bracket, a line end, or anything between them."""

Path = tuple[str, ...]


def line_of(text: str, field: Sequence[str | int]) -> int:
    """The line, from 1 on, of a field of a valid TOML text; of the table it would stand in where it is not there."""
    wanted = tuple(map(str, field))
    best, line = 0, 1
    for at, path in _fields(text):
        path = path[: len(wanted)]
        if len(path) > best and path == wanted[: len(path)]:
            best, line = len(path), at
    return line


def _fields(text: str) -> Iterator[tuple[int, Path]]:
    """Each table and key with the line where it begins."""
    table: Path = ()
    for line, statement in _statements(text):
        keys = _keys(tomllib.loads(statement))
        if statement.lstrip().startswith("["):
            table = keys
        yield line, table if table is keys else table + keys


def _keys(value: Any) -> Path:
    """The names along a table's only branch."""
    keys: list[str] = []
    while isinstance(value, dict | list) and len(value) == 1:
        if isinstance(value, dict):
            keys += value
            value = next(iter(value.values()))
        else:
            (value,) = value
    return tuple(keys)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each `[table]` and each `key = value`, which may go over several lines, with the line where it begins."""
    line, begun, depth, parts = 1, 1, 0, list[str]()
    for match in _TOKEN.finditer(text + "\n"):
        token = match.group()
        line += token.count("\n")
        if token == "\n" and depth <= 0:
            statement = "".join(parts)
            if statement.strip():
                yield begun, statement
            begun, depth, parts = line, 0, []
            continue
        if not token.startswith("#"):
            parts.append(token)
        depth += (token in "[{") - (token in "]}")
