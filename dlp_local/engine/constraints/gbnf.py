"""Grammars in GBNF that a client sends: read before llama.cpp reads them, which some would keep busy for ever."""

from __future__ import annotations

import re

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import Chars, Choice, Node, Repeat, Rule, Text, sequence
from dlp_local.engine.constraints.grammar_checks import check_rules, check_times
from dlp_local.engine.constraints.text_rules import ALL

DEEPEST = 50
"""Groups within groups."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:\s|#[^\n]*)*")
_DEFINED = re.compile(r"::=")
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\[\s\S])*)"')
_SET = re.compile(r"\[(\^?)((?:[^\]\\]|\\[\s\S])*)\]")
_TIMES = re.compile(r"\{\s*(\d{1,6})\s*(?:(,)\s*(?:(\d{1,6})\s*)?)?\}")
_MARKS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def check_grammar(source: str) -> str:
    """The same grammar; raises `InputError` for what is no GBNF, and for what llama.cpp could not follow."""
    try:
        rules = _Reader(source).rules()
        if "root" not in rules:
            raise InputError("it has no rule called root")
        check_rules(rules)
        check_times(rules)
    except InputError as error:
        raise InputError(f"grammar: {error}. Send another one, in llama.cpp's GBNF.") from None
    except RecursionError:
        raise InputError("grammar: it is nested too deeply. Send a simpler one.") from None
    return source


class _Reader:
    def __init__(self, source: str) -> None:
        self._source, self._at = source, 0

    def _refused(self, what: str) -> InputError:
        line = self._source.count("\n", 0, self._at) + 1
        return InputError(f"line {line} has {what}")

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if match := pattern.match(self._source, self._at):
            self._at = match.end()
        return match

    def _next(self) -> str:
        return self._source[self._at : self._at + 1]

    def rules(self) -> dict[str, Node]:
        """All rules, by name."""
        rules: dict[str, Node] = {}
        self._take(_SPACE_AND_LINES)
        while self._at < len(self._source):
            if not (name := self._take(_NAME)):
                raise self._refused("no name of a rule")
            self._take(_SPACE)
            if not self._take(_DEFINED):
                raise self._refused("no ::= after the name of a rule")
            self._take(_SPACE_AND_LINES)
            rules[name[0]] = self._alternatives(0)
            if self._next() not in ("", "\n", "\r"):
                raise self._refused(f"{self._next()!a}, which is not expected there")
            self._take(_SPACE_AND_LINES)
        return rules

    def _alternatives(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise self._refused("too many groups within groups")
        options = [self._sequence(depth)]
        while self._next() == "|":
            self._at += 1
            self._take(_SPACE_AND_LINES)
            options.append(self._sequence(depth))
        return Choice(tuple(options)) if len(options) > 1 else options[0]  # the same twice is looked at twice

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        space = _SPACE_AND_LINES if depth else _SPACE
        while (unit := self._unit(depth)) is not None:
            self._take(space)
            while times := self._times():
                unit = Repeat(unit, *times)
                self._take(space)
            parts.append(unit)
        return sequence(*parts)

    def _times(self) -> tuple[int, int | None] | None:
        if marks := _MARKS.get(self._next()):
            self._at += 1
            return marks
        if not (times := self._take(_TIMES)):
            return None
        least = int(times[1])
        return least, (int(times[3]) if times[3] else None) if times[2] else least

    def _unit(self, depth: int) -> Node | None:
        if literal := self._take(_LITERAL):
            return Text(literal[1])
        if characters := self._take(_SET):  # which ones does not matter here
            return Chars(ALL, bool(characters[1])) if characters[2] or characters[1] else Text("")
        if self._next() == ".":
            self._at += 1
            return Chars(ALL)
        if self._next() == "(":
            self._at += 1
            self._take(_SPACE_AND_LINES)
            node = self._alternatives(depth + 1)
            if self._next() != ")":
                raise self._refused("a group that is not closed")
            self._at += 1
            return node
        name = self._take(_NAME)
        return Rule(name[0]) if name else None
