"""What a query says of the table that it is tried on: its columns, and what they are compared with."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

TABLE_ROWS = 60

_IDENTIFIER = r'\w+|"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]'
_VALUE = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|-?\d+(?:\.\d+)?"
_CONDITION = re.compile(
    rf"(?P<column>{_IDENTIFIER})\s*(?:(?P<sign><=|>=|!=|<>|==?|<|>|(?:\bNOT\s+)?\b(?:LIKE|GLOB)\b)\s*(?P<value>{_VALUE})"
    rf"|\b(?P<not>NOT\s+)?IN\s*\((?P<values>\s*(?:{_VALUE})(?:\s*,\s*(?:{_VALUE}))*)\s*\)"
    rf"|\bBETWEEN\s+(?P<low>{_VALUE})\s+AND\s+(?P<high>{_VALUE}))",
    re.IGNORECASE,
)
_AGGREGATE = re.compile(rf"\b(?:MIN|MAX|SUM|AVG)\(\s*(?:DISTINCT\s+)?({_IDENTIFIER})\s*\)", re.IGNORECASE)
_NAMED = re.compile(r"columns:? (?:are )?(.+?)\.?$")
_TABLE = re.compile(rf"\bFROM\s+({_IDENTIFIER})", re.IGNORECASE)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_QUOTED = re.compile(r'"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]')
_NAME = re.compile(r"\b[A-Za-z_]\w*\b(?!\s*\()")
_COMMENT = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])|/\*.*?(?:\*/|\Z)|--[^\n]*""", re.DOTALL)
_DEFINED = re.compile(rf"({_IDENTIFIER})(?:\s*\([^()]*\))?\s*\bAS\b\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\(", re.IGNORECASE)
_KEYWORDS = frozenset(
    "select distinct from where and or not in like is null between order group by having limit offset asc desc as case "
    "when then else end on join inner left outer cross union all except intersect exists glob collate nocase".split()
)

Cell = str | float
Cells = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a query compares a column with: one value, the two of BETWEEN, or the list of IN. `column` is casefolded."""

    column: str
    sign: str
    values: tuple[Cell, ...]

    @property
    def fitting(self) -> Cell:
        """A value that fits."""
        return _moved(self.values[0], {"<": -1, "<=": -1, ">": 1, ">=": 1, "!=": 1, "<>": 1}.get(self.sign, 0))

    @property
    def missing(self) -> Cell:
        """A number or text that does not fit, where it is compared with a number."""
        return _moved(self.values[-1], {">": -1, ">=": -1, "!=": 0, "<>": 0}.get(self.sign, 1))


def columns_of(query: str, message: str) -> list[str]:
    """The columns that a message names at its end (`columns: a, b`), or else the names of a query, each once.

    What a query has in double quotes is among them: where there were no such column, SQLite took it for a text.
    """
    named = _NAMED.findall(message.replace("\n", " "))
    query = _TABLE.sub("", _TEXT.sub("''", query))
    compared = [match["value"] for match in _CONDITION.finditer(query)]
    names = [name_of(quoted) for quoted in _QUOTED.findall(query) if quoted not in compared]
    if not named:
        names += [name for name in _NAME.findall(_QUOTED.sub("''", query)) if name.lower() not in _KEYWORDS]
    names = [*(name.strip() for name in (named[-1].split(",") if named else ())), *sorted(names, key=str.lower)]
    first = {name.casefold(): name for name in reversed(names)}
    return list(first.values())[::-1] or ["c"]


def table_of(query: str) -> str:
    """The name of a query's table."""
    return name_of(match[1]) if (match := _TABLE.search(query)) else "t"


def name_of(identifier: str) -> str:
    """A name without the quotation marks of SQL."""
    if identifier[0] == '"':
        return identifier[1:-1].replace('""', '"')
    return identifier[1:-1] if identifier[0] in "`[" else identifier


def mentioned(query: str) -> int:
    """How often a query names the common table expressions that it has, where it defines them and elsewhere."""
    query = _COMMENT.sub(lambda match: match[1] or " ", query)
    defined = {name_of(name).casefold() for name in _DEFINED.findall(query)}
    return sum(name_of(name).casefold() in defined for name in re.findall(_IDENTIFIER, query)) if defined else 0


def many_fit(columns: Sequence[str], query: str) -> list[Cells]:
    """Rows that hold what a query compares them with about half of the time, or a number near to it."""
    rng, asked = random.Random(0), defaultdict[str, list[Cell]](list)
    for condition in _conditions(columns, query):
        asked[condition.column] += condition.values
    return [{name: _value(asked[name.casefold()], rng) for name in columns} for _ in range(TABLE_ROWS)]


def one_fits(columns: Sequence[str], query: str) -> list[Cells]:
    """Rows of which one fits all conditions of a query, and each other one all but one; what it sums up are numbers."""
    rng, conditions = random.Random(0), _conditions(columns, query)
    numbers = {name_of(name).casefold() for name in _AGGREGATE.findall(query)}
    own = {name.casefold(): name for name in columns}
    rows: list[Cells] = []
    for index in range(TABLE_ROWS if conditions else 1):
        cells = {
            name: float(rng.randrange(1000)) if name.casefold() in numbers else _value((), rng) for name in columns
        }
        missed = index % len(conditions) if index else -1
        for number, condition in enumerate(conditions):
            if (name := own.get(condition.column)) is None:
                continue
            if number != missed:
                cells[name] = condition.fitting
            elif isinstance(cells[name], float) and condition.sign != "LIKE":  # another number could fit by chance
                cells[name] = condition.missing
        rows.append(cells)
    return rows


RowsFor = Callable[[Sequence[str], str], list[Cells]]


def _conditions(columns: Sequence[str], query: str) -> list[Condition]:
    """The conditions of a query; what stands in double quotes is text, unless there is a column of that name."""
    names, found = {name.casefold() for name in columns}, list[Condition]()
    for match in _CONDITION.finditer(query):
        column, sign = name_of(match["column"]).casefold(), " ".join((match["sign"] or "").upper().split())
        if match["value"]:
            written = [match["value"]]
        elif match["values"]:
            written, sign = re.findall(_VALUE, match["values"]), "!=" if match["not"] else "IN"
        else:
            written, sign = [match["low"], match["high"]], "BETWEEN"
        is_column = any(value[0] == '"' and name_of(value).casefold() in names for value in written)
        if not is_column:
            sign = "!=" if sign.startswith("NOT") else sign
            found.append(Condition(column, sign, tuple(map(_cell, written))))
    return found


def _cell(written: str) -> Cell:
    """A value as a query writes it: what stands in quotation marks is text, and be it 7."""
    if written[0] == "'":
        return written[1:-1].replace("''", "'")
    return name_of(written) if written[0] == '"' else float(written)


def _moved(value: Cell, direction: int) -> Cell:
    """A value that comes before another one, is the same, or comes after it."""
    if isinstance(value, float):
        return value + direction
    return {-1: "", 0: value, 1: f"{value}z"}[direction]


def _value(asked: Sequence[Cell], rng: random.Random) -> Cell:
    """A value that is asked for, a number near to it, or any other."""
    if asked and rng.random() < 0.5:
        value = rng.choice(asked)
        return value + rng.choice((0, 0, 1, -1)) if isinstance(value, float) else value
    return float(rng.randrange(1000)) if rng.random() < 0.5 else f"text {rng.randrange(1000)}"
