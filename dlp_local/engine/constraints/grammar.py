"""Grammars as values, and their text in llama.cpp's GBNF (grammars/README.md there)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dlp_local.core.errors import InputError

MOST_REPEATS = 1000
"""llama.cpp writes a repetition out, and refuses one of more than 2000; a bound above this one becomes this one."""

MOST_RULES = 4000
FEW_TEXTS = 16
DEEPEST_TEXTS = 16
"""So many texts are written one beside the other, and in so many steps more of them by their common beginnings."""

LONGEST_TEXT = 1 << 20
"""Characters of a grammar that was made."""


@dataclass(frozen=True, slots=True)
class Text:
    """These characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character within some ranges of code points, first and last; where `negated`, one outside of them."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rule of this name says."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """All parts in order."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A node so many times; None is without end."""

    node: Node
    least: int = 0
    most: int | None = None


Node = Text | Chars | Rule | Sequence | Choice | Repeat


NOTHING = Sequence(())
"""No characters."""


def sequence(*parts: Node | str) -> Node:
    """All parts in order; a string is these characters."""
    nodes = tuple(Text(part) if isinstance(part, str) else part for part in parts if part != "")
    return nodes[0] if len(nodes) == 1 else Sequence(nodes)


def choice(options: Iterable[Node | str]) -> Node:
    """One of the options, at least one, each once."""
    nodes = tuple(dict.fromkeys(Text(option) if isinstance(option, str) else option for option in options))
    return nodes[0] if len(nodes) == 1 else Choice(nodes)


def one_text(texts: Iterable[str], depth: int = DEEPEST_TEXTS) -> Node:
    """One of some texts; many stand behind their common beginnings, so that few ways go on at each place."""
    distinct = list(dict.fromkeys(texts))
    if len(distinct) <= FEW_TEXTS or not depth:
        return choice(distinct)
    first, last = min(distinct), max(distinct)
    shared = first[
        : next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    ]
    rests: dict[str, list[str]] = {}
    for text in distinct:
        rest = text[len(shared) :]
        rests.setdefault(rest[:1], []).append(rest)
    return sequence(shared, choice(one_text(of_one, depth - 1) for of_one in rests.values()))


def optional(*parts: Node | str) -> Node:
    """All parts, or nothing."""
    return Repeat(sequence(*parts), 0, 1)


def repeat(node: Node, least: int = 0, most: int | None = None) -> Node:
    """A node `least` to `most` times, and no more often than llama.cpp can count.

    Raises `InputError` where it has to come more often than that.
    """
    if least > MOST_REPEATS:
        raise InputError(f"a grammar cannot ask for {least} of something; {MOST_REPEATS} is the most")
    return Repeat(node, least, None if most is None else min(most, MOST_REPEATS))


@dataclass(slots=True)
class Grammar:
    """The rules of a grammar, which begins with `root`."""

    rules: dict[str, Node] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)
    _length: int = 0

    def add(self, name: str, node: Node) -> Rule:
        """A rule of a new name, whose characters are letters, digits and hyphens.

        Raises `InputError` for too many, and as soon as they are too long in all.
        """
        if len(self.rules) >= MOST_RULES:
            raise InputError(f"it needs more than {MOST_RULES} rules")
        line = f"{name} ::= {_written(node)}"
        self._length += len(line) + 1
        if self._length > LONGEST_TEXT:
            raise InputError(f"its grammar is longer than {LONGEST_TEXT} characters")
        self.rules[name] = node
        self._lines.append(line)
        return Rule(name)

    def text(self) -> str:
        """The grammar in GBNF."""
        return "\n".join(self._lines)


def _written(node: Node) -> str:
    match node:
        case Text(text):
            return f'"{"".join(_escaped(character) for character in text)}"'
        case Chars(ranges, negated):
            inner = "".join(_code(a) if a == b else f"{_code(a)}-{_code(b)}" for a, b in ranges)
            return f"[{'^' if negated else ''}{inner}]"
        case Rule(name):
            return name
        case Sequence(parts):
            nodes = [part for part in parts if part != NOTHING]
            return " ".join(_grouped(part) if isinstance(part, Choice) else _written(part) for part in nodes) or '""'
        case Choice(options):
            return " | ".join(map(_written, options))
        case Repeat(repeated, least, most):
            marks = {(0, None): "*", (1, None): "+", (0, 1): "?"}
            times = str(least) if least == most else f"{least},{'' if most is None else most}"
            return _grouped(repeated) + marks.get((least, most), f"{{{times}}}")


def _grouped(node: Node) -> str:
    return _written(node) if isinstance(node, Text | Chars | Rule) else f"({_written(node)})"


def _escaped(character: str) -> str:
    if character in '"\\' or not character.isprintable():
        return _code(ord(character))
    return character


def _code(point: int) -> str:
    """A code point, as it is written in a set of characters; letters and digits as they are."""
    if point < 0x80:
        return chr(point) if chr(point).isalnum() else f"\\x{point:02X}"
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
