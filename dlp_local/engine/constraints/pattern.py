"""Regular expressions of JSON schemas (`pattern`), as parts of a grammar.

Read are ECMA-262's characters, classes, groups, alternatives, repetitions, and anchors at the ends of the alternatives;
not what looks around or back.
"""

from __future__ import annotations

import re

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import Node, choice, repeat, sequence
from dlp_local.engine.constraints.grammar_checks import check_rules, check_times
from dlp_local.engine.constraints.text_rules import CHARACTER, Ranges, complement, in_string, merged

LONGEST = 2000
"""Characters of a pattern."""

DEEPEST = 30
"""Groups within groups."""

MOST_REPETITIONS = 50
"""llama.cpp keeps a place in the grammar for each that may have come to its end."""

_TIMES = re.compile(r"\{(\d{1,6})(?:(,)(\d{0,6}))?\}")
_MARKS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_DIGITS: Ranges = ((0x30, 0x39),)
_WORDS: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACES: Ranges = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
_LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CLASSES = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}


def pattern(source: str) -> Node:
    """The content of a string that a pattern finds something in; raises `InputError` for what no grammar expresses."""
    if len(source) > LONGEST:
        raise InputError(f"its pattern is longer than {LONGEST} characters")
    reader = _Reader(source)
    node = reader.alternatives(0)
    if reader.at < len(source):
        raise reader.refused("a bracket that was not opened")
    rules = {"pattern": node}
    check_rules(rules)
    check_times(rules)
    return node


class _Reader:
    """Reads a pattern from its beginning to its end."""

    def __init__(self, source: str) -> None:
        self._source, self.at = source, 0
        self._repetitions = 0

    def refused(self, what: str) -> InputError:
        """What there is at this place is not read."""
        return InputError(f"its pattern {self._source!a} has {what}, at character {self.at}")

    def _next(self) -> str:
        return self._source[self.at : self.at + 1]

    def _takes(self, text: str) -> bool:
        if not self._source.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def alternatives(self, depth: int) -> Node:
        """Up to the end of the group; those of the whole pattern have anything before and after, without anchors."""
        if depth > DEEPEST:
            raise self.refused("too many groups within groups")
        options = [self._alternative(depth)]
        while self._takes("|"):
            options.append(self._alternative(depth))
        return choice(options)

    def _alternative(self, depth: int) -> Node:
        is_begun = self._takes("^")
        parts: list[Node] = []
        while self._next() not in ("", "|", ")", "$"):
            parts.append(self._repeated(self._unit(depth)))
        is_ended = self._takes("$")
        if self._next() not in ("", "|", ")") or (depth and (is_begun or is_ended)):
            raise self.refused("an anchor in its middle")
        anything = repeat(CHARACTER)
        before, after = ([] if is_anchored or depth else [anything] for is_anchored in (is_begun, is_ended))
        return sequence(*before, *parts, *after)

    def _unit(self, depth: int) -> Node:
        if self._takes("("):
            if self._next() == "?" and not self._takes("?:"):
                raise self.refused("a group that looks around or has a name")
            node = self.alternatives(depth + 1)
            if not self._takes(")"):
                raise self.refused("a group that is not closed")
            return node
        if self._next() in "*+?{":
            raise self.refused("a repetition of nothing")
        ranges = self._set() if self._takes("[") else self._any() if self._takes(".") else self._escape_or_character()
        return self._one_of(ranges)

    def _one_of(self, ranges: Ranges) -> Node:
        if (node := in_string(ranges)) is None:
            raise self.refused("characters that no string holds")
        return node

    def _any(self) -> Ranges:
        return complement(_LINE_ENDS)

    def _repeated(self, node: Node) -> Node:
        if marks := _MARKS.get(self._next()):
            self.at += 1
            least, most = marks
        elif times := _TIMES.match(self._source, self.at):
            self.at = times.end()
            least = int(times[1])
            most = (int(times[3]) if times[3] else None) if times[2] else least
            if most is not None and most < least:
                raise self.refused("a repetition whose bounds are the wrong way round")
        else:
            return node
        self._repetitions += 1
        if self._repetitions > MOST_REPETITIONS:
            raise self.refused(f"more than {MOST_REPETITIONS} repetitions")
        self._takes("?")  # how eager it is makes no difference to what it stands for
        return repeat(node, least, most)

    def _set(self) -> Ranges:
        is_negated = self._takes("^")
        ranges: list[tuple[int, int]] = []
        while not self._takes("]"):
            if not self._next():
                raise self.refused("a set that is not closed")
            first = self._escape_or_character(in_set=True)
            is_range = self._next() == "-" and self._source[self.at + 1 : self.at + 2] not in ("", "]")
            if is_range and self._takes("-"):
                last = self._escape_or_character(in_set=True)
                if any(len(ends) != 1 or ends[0][0] != ends[0][1] for ends in (first, last)):
                    raise self.refused("a range between sets")
                if last[0][0] < first[0][0]:
                    raise self.refused("a range the wrong way round")
                first = ((first[0][0], last[0][0]),)
            ranges += first
        return complement(merged(ranges)) if is_negated else merged(ranges)

    def _escape_or_character(self, in_set: bool = False) -> Ranges:
        character = self._next()
        self.at += 1
        if character != "\\":
            return ((ord(character), ord(character)),)
        escaped = self._next()
        self.at += 1
        if escaped.lower() in _CLASSES:
            ranges = _CLASSES[escaped.lower()]
            return ranges if escaped.islower() else complement(ranges)
        if escaped in ("x", "u"):
            digits = self._source[self.at : self.at + (2 if escaped == "x" else 4)]
            if not re.fullmatch(r"[0-9a-fA-F]{2}|[0-9a-fA-F]{4}", digits):
                raise self.refused("an escape that is cut off")
            self.at += len(digits)
            return ((int(digits, 16), int(digits, 16)),)
        if escaped in _CONTROLS or (escaped == "b" and in_set):
            point = _CONTROLS.get(escaped, 8)
        elif escaped and not escaped.isalnum():
            point = ord(escaped)
        else:
            raise self.refused(f"\\{escaped}, which a grammar cannot express")
        return ((point, point),)
