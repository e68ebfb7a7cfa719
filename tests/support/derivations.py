"""Texts that follow a grammar, drawn at random."""

from __future__ import annotations

from random import Random

from dlp_local.engine.constraints.grammar import Chars, Choice, Grammar, Node, Repeat, Rule, Sequence, Text

DEEP = 25
"""From so many rules within rules on, the shortest way out is taken."""


def derived(grammar: Grammar, random: Random) -> str:
    """A text of a grammar."""
    return _Drawing(grammar, random).text(Rule("root"), 0)


class _Drawing:
    def __init__(self, grammar: Grammar, random: Random) -> None:
        self._rules, self._random = grammar.rules, random
        self._depths: dict[str, float] = dict.fromkeys(self._rules, float("inf"))
        for _ in self._rules:  # how many rules deep each has to go, until nothing changes
            self._depths = {name: 1 + self._depth(node) for name, node in self._rules.items()}

    def _depth(self, node: Node) -> float:
        match node:
            case Rule(name):
                return self._depths[name]
            case Sequence(parts):
                return max(map(self._depth, parts), default=0)
            case Choice(options):
                return min(map(self._depth, options))
            case Repeat(repeated, least, _):
                return self._depth(repeated) if least else 0
        return 0

    def text(self, node: Node, depth: int) -> str:
        match node:
            case Text(text):
                return text
            case Chars(ranges, negated):
                return self._character(ranges, negated)
            case Rule(name):
                return self.text(self._rules[name], depth + 1)
            case Sequence(parts):
                return "".join(self.text(part, depth) for part in parts)
            case Choice(options):
                least = min(map(self._depth, options))
                fitting = [option for option in options if depth < DEEP or self._depth(option) == least]
                return self.text(self._random.choice(fitting), depth)
            case Repeat(repeated, least, most):
                more = 0 if depth >= DEEP else self._random.randint(0, 3 if most is None else min(3, most - least))
                return "".join(self.text(repeated, depth) for _ in range(least + more))

    def _character(self, ranges, negated):
        if not negated:
            first, last = self._random.choice(ranges)
            return chr(self._random.randint(first, last))
        others = [c for c in map(chr, (*range(0x80), 0xE9, 0x4E2D, 0x1F600)) if not _within(ord(c), ranges)]
        return self._random.choice(others)


def _within(point, ranges):
    return any(first <= point <= last for first, last in ranges)
