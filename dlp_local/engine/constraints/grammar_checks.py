"""What keeps llama.cpp from following a grammar: it would not come to an end, or take very long at each token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import groupby

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import Chars, Choice, Node, Repeat, Rule, Sequence, Text

MOST_TIMES = 2000
"""So often something may come by repetitions within repetitions, where nothing else stands between them."""

MOST_STARTS = 1000
"""So many ways may there be to go on at one place: llama.cpp looks at each of them for each token that it tries."""

MOST_IN_A_ROW = 4
MOST_NESTED = 3
"""Repetitions of no fixed number, one after another or within one another: llama.cpp tries all ways in which they may
share the characters of each token that does not fit.
"""

Rules = Mapping[str, Node]


def check_rules(rules: Rules) -> None:
    """Raises `InputError` for rules that refer to others that there are not, to themselves without anything in between,
    or to what never ends, for repetitions of what may be empty, and where too many ways go on at one place.
    """
    if unknown := {name for node in rules.values() for name in _names(node)} - rules.keys():
        raise InputError(f"it refers to a rule that there is not: {min(unknown)}")
    ending = _settled(rules, _ends)
    if endless := sorted(rules.keys() - ending):
        raise InputError(f"nothing finite follows it: {endless[0]} always holds itself")
    empty = _settled(rules, _may_be_empty)
    try:
        beginnings = {name: set(_beginnings(node, empty)) for name, node in rules.items()}
        innermost_first = list(TopologicalSorter(beginnings).static_order())
    except CycleError as error:
        raise InputError(f"it refers to itself without anything in between: {error.args[1][0]}") from None
    starts: dict[str, int] = {}
    for name in innermost_first:
        starts[name] = _starts(rules[name], starts, empty)
    for node in rules.values():
        for part in _parts(node):
            if isinstance(part, Choice) and _starts(part, starts, empty) > MOST_STARTS:
                raise InputError(f"it has more than {MOST_STARTS} alternatives at one place")
            if isinstance(part, Repeat) and part.most != 1 and _may_be_empty(part.node, empty):
                raise InputError("it repeats what may be empty")


def check_times(rules: Rules) -> None:
    """Raises `InputError` where repetitions within repetitions are too many to follow at once."""
    times: dict[str, int] = {}
    if any(_times(Rule(name), rules, times) > MOST_TIMES for name in rules):
        raise InputError(f"it has repetitions within repetitions, of more than {MOST_TIMES} times in all")
    for node in rules.values():
        for part in _parts(node):
            if isinstance(part, Sequence) and _longest_run(part) > MOST_IN_A_ROW:
                raise InputError(f"it has more than {MOST_IN_A_ROW} repetitions one directly after another")
            if _open_depth(part) > MOST_NESTED:
                raise InputError(f"it has more than {MOST_NESTED} repetitions within one another")


def _is_open(node: Node) -> bool:
    """Whether it is left open how often something comes."""
    return isinstance(node, Repeat) and node.least != node.most


def _longest_run(node: Sequence) -> int:
    return max((len(list(run)) for is_open, run in groupby(node.parts, _is_open) if is_open), default=0)


def _open_depth(node: Node) -> int:
    """Open repetitions within one another, in one rule."""
    return int(_is_open(node)) + max(map(_open_depth, _inner(node)), default=0)


def _settled(rules: Rules, holds: Callable[[Node, set[str]], bool]) -> set[str]:
    """The rules of which something holds, given those of which it holds."""
    names, before = set[str](), -1
    while len(names) > before:
        before = len(names)
        for name, node in rules.items():
            if name not in names and holds(node, names):
                names.add(name)
    return names


def _inner(node: Node) -> tuple[Node, ...]:
    match node:
        case Sequence(parts):
            return parts
        case Choice(options):
            return options
        case Repeat(repeated, _, _):
            return (repeated,)
    return ()


def _parts(node: Node) -> Iterator[Node]:
    """A node and all that is within it."""
    yield node
    for part in _inner(node):
        yield from _parts(part)


def _names(node: Node) -> set[str]:
    return {part.name for part in _parts(node) if isinstance(part, Rule)}


def _times(node: Node, rules: Rules, known: dict[str, int]) -> int:
    """How often the innermost part of a node may come by counted bounds; a rule within itself counts once."""
    match node:
        case Rule(name):
            if name not in known:
                known[name] = 1
                known[name] = _times(rules[name], rules, known)
            return known[name]
        case Repeat(repeated, least, most):
            times = _times(repeated, rules, known) * max(1, least if most is None else most)
            return min(times, MOST_TIMES + 1)
    return max((_times(part, rules, known) for part in _inner(node)), default=1)


def _ends(node: Node, ending: set[str]) -> bool:
    return _comes_to(node, ending, lambda _: True)


def _may_be_empty(node: Node, empty: set[str]) -> bool:
    return _comes_to(node, empty, lambda leaf: leaf == Text(""))


def _comes_to(node: Node, rules: set[str], holds: Callable[[Node], bool]) -> bool:
    """Whether a way leads through a node on which all its texts and characters hold, and so all of its rules do."""
    match node:
        case Rule(name):
            return name in rules
        case Sequence(parts):
            return all(_comes_to(part, rules, holds) for part in parts)
        case Choice(options):
            return any(_comes_to(option, rules, holds) for option in options)
        case Repeat(repeated, least, _):
            return least == 0 or _comes_to(repeated, rules, holds)
    return holds(node)


def _starts(node: Node, of_rules: Mapping[str, int], empty: set[str]) -> int:
    """With how many texts or characters a node may begin."""
    match node:
        case Rule(name):
            return of_rules[name]
        case Sequence(parts):
            starts = 0
            for part in parts:
                starts += _starts(part, of_rules, empty)
                if not _may_be_empty(part, empty):
                    break
            return starts
        case Text() | Chars():
            return 1
    return sum(_starts(part, of_rules, empty) for part in _inner(node))


def _beginnings(node: Node, empty: set[str]) -> Iterator[str]:
    """The rules with which a node may begin."""
    match node:
        case Rule(name):
            yield name
        case Sequence(parts):
            for part in parts:
                yield from _beginnings(part, empty)
                if not _may_be_empty(part, empty):
                    return
        case _:
            for part in _inner(node):
                yield from _beginnings(part, empty)
