"""`rank_pattern` and `alpha_pattern`: regular expressions from the net, matched as PEFT does, in bounded time.

Python's matcher tries every way in which a text can be divided among the repeats of an expression. How many there are
is told from the parsed expression before anything is matched, and one that could take for ever is refused.
"""

from __future__ import annotations

import math
import re
import re._constants as constants  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Value = TypeVar("Value", int, float)

MAX_STEPS = 5_000_000
"""Of one match: about a tenth of a second."""

MAX_ALL_STEPS = 1_000_000_000
"""Of all matches of a folder."""

MAX_COUNT = 32
"""A repeat of more times than this is taken as one without a bound."""

_LEADING_FLAGS = re.compile(r"(?:\(\?[aimsux]+\))+")

_REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT)


@dataclass(frozen=True, slots=True)
class _Ways:
    """In how many ways an expression can match a text of n characters: at most `factor`·C(n + `repeats`, `repeats`)."""

    factor: float = 1
    repeats: int = 0
    """Repeats without a bound, one behind the other."""

    def then(self, other: _Ways) -> _Ways:
        return _Ways(self.factor * other.factor, self.repeats + other.repeats)

    def otherwise(self, other: _Ways) -> _Ways:
        return _Ways(self.factor + other.factor, max(self.repeats, other.repeats))

    def steps(self, length: int) -> float:
        """At most so many of the matcher's steps for a text of this length."""
        return self.factor * math.comb(length + self.repeats, self.repeats) if self.repeats <= MAX_COUNT else math.inf


class Patterns(Generic[Value]):
    """Values by regular expressions; raises `ValueError` for one that is none, or that could take for ever."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._steps = 0.0
        self._compiled: list[tuple[str, re.Pattern[str], _Ways, Value]] = []
        for pattern, value in values.items():
            flags, rest = _flags(pattern)
            whole = rf"{flags}(.*\.)?({rest})$"  # as peft.utils.other.get_pattern_key
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of what a later Python may read otherwise
                    ways = _sequence(parser.parse(whole))
                    self._compiled.append((pattern, re.compile(whole), ways, value))
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"the pattern {pattern[:64]!a} {_refusal(error)}") from None
            if ways.steps(1) > MAX_STEPS:
                raise ValueError(_endless(pattern))

    def value(self, module: str, default: Value) -> Value:
        """The value of the first pattern that matches a module's name, or its end after a dot."""
        for pattern, compiled, ways, value in self._compiled:
            steps = ways.steps(len(module))
            self._steps += steps
            if steps > MAX_STEPS or self._steps > MAX_ALL_STEPS:
                raise ValueError(_endless(pattern))
            if compiled.match(module):
                return value
        return default


def _flags(pattern: str) -> tuple[str, str]:
    """Flags at the start of a pattern, and the rest of it.

    They hold for all of it: PEFT puts the pattern into a group, and before Python 3.11 flags counted there, too.
    """
    flags = _LEADING_FLAGS.match(pattern)
    return (flags[0], pattern[flags.end() :]) if flags else ("", pattern)


def _refusal(error: Exception) -> str:
    if isinstance(error, re.error) and "flags not at the start" in error.msg:
        return "has flags in its middle, which Python takes at the start alone. Write them there"
    reason = error.msg if isinstance(error, re.error) else "it is too long, or nested too deeply"
    return f"is no regular expression ({reason})"


def _endless(pattern: str) -> str:
    return f"to match the pattern {pattern[:64]!a} could take for ever. Name the modules one by one"


def _sequence(items: Iterable[tuple[Any, Any]]) -> _Ways:
    ways = _Ways()
    for kind, argument in items:
        ways = ways.then(_item(kind, argument))
    return ways


def _item(kind: Any, argument: Any) -> _Ways:
    if kind in _REPEATS:
        return _repeated(*argument)
    if kind is constants.BRANCH:
        ways = _Ways(0)
        for branch in argument[1]:
            ways = ways.otherwise(_sequence(branch))
        return ways
    if kind is constants.SUBPATTERN:
        return _sequence(argument[3])
    if kind in (constants.ASSERT, constants.ASSERT_NOT):
        return _sequence(argument[1])
    if kind is constants.ATOMIC_GROUP:
        return _sequence(argument)
    if kind is constants.GROUPREF_EXISTS:
        return _sequence(argument[1]).otherwise(_sequence(argument[2] or ()))
    return _Ways()


def _repeated(minimum: int, maximum: int, body: Iterable[tuple[Any, Any]]) -> _Ways:
    inner = _sequence(body)
    is_bounded = maximum <= MAX_COUNT
    if inner == _Ways():  # each time in one way: what differs is how often
        return _Ways(maximum - minimum + 1) if is_bounded else _Ways(repeats=1)
    if not is_bounded:  # in several ways each time: a text of n characters in as many as 2 to the power of n
        return _Ways(math.inf)
    ways = _Ways(maximum - minimum + 1)
    for _ in range(maximum):
        ways = ways.then(inner)
    return ways
