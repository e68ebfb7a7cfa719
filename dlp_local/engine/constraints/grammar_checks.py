"""What keeps llama.cpp from following a grammar: it would not come to an end, or take very long at each token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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

    How long that takes grows with the rules' length alone: they are a stranger's, and stand in any order.
    """
    if unknown := {name for node in rules.values() for name in _names(node)} - rules.keys():
        raise InputError(f"it refers to a rule that there is not: {min(unknown)}")
    ending = settled(rules, lambda _: True)
    if endless := sorted(name for name, node in rules.items() if id(node) not in ending):
        raise InputError(f"nothing finite follows it: {endless[0]} always holds itself")
    empty = settled(rules, lambda leaf: leaf == Text(""))
    try:
        beginnings = {name: _beginnings(node, empty) for name, node in rules.items()}
        innermost_first = list(TopologicalSorter(beginnings).static_order())
    except CycleError as error:
        raise InputError(f"it refers to itself without anything in between: {error.args[1][0]}") from None
    starts = _Starts(rules, empty)
    for name in innermost_first:
        starts.of(Rule(name))
    for node in rules.values():
        for part in _parts(node):
            if isinstance(part, Choice) and starts.of(part) > MOST_STARTS:
                raise InputError(f"it has more than {MOST_STARTS} alternatives at one place")
            if isinstance(part, Repeat) and part.most != 1 and id(part.node) in empty:
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
        if _open_depth(node) > MOST_NESTED:
            raise InputError(f"it has more than {MOST_NESTED} repetitions within one another")


def _is_open(node: Node) -> bool:
    """Whether it is left open how often something comes."""
    return isinstance(node, Repeat) and node.least != node.most


def _longest_run(node: Sequence) -> int:
    return max((len(list(run)) for is_open, run in groupby(node.parts, _is_open) if is_open), default=0)


def _open_depth(node: Node) -> int:
    """Open repetitions within one another, in one rule."""
    return int(_is_open(node)) + max(map(_open_depth, _inner(node)), default=0)


@dataclass(slots=True, eq=False)
class _Unsettled:
    """A node of which something holds as soon as it holds of so many more of its parts."""

    node: Node
    users: list[_Unsettled]
    """That of which it is a part; of a rule's node, all that refers to the rule."""

    missing: int


def settled(rules: Rules, holds: Callable[[Node], bool]) -> set[int]:
    """The nodes, by their `id`, through which a way leads on which it `holds` of all texts and characters.

    From these it goes on to what holds them, so that each node is looked at once for each of its parts.
    """
    users: dict[str, list[_Unsettled]] = {name: [] for name in rules}
    nodes = [_Unsettled(node, users[name], 1) for name, node in rules.items()]
    for one in nodes:  # which grows meanwhile
        match one.node:
            case Rule(name):
                users[name].append(one)
            case Sequence(parts):
                one.missing = len(parts)
            case Text() | Chars():
                one.missing = 0 if holds(one.node) else 1
            case Repeat(_, 0, _):
                one.missing = 0
        nodes += [_Unsettled(part, [one], 1) for part in _inner(one.node)]
    found = [one for one in nodes if not one.missing]
    for one in found:  # which grows, too
        for user in one.users:
            user.missing -= 1
            if not user.missing:
                found.append(user)
    return {id(one.node) for one in found}


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
    waiting = [node]
    while waiting:
        yield (part := waiting.pop())
        waiting += reversed(_inner(part))


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


class _Starts:
    """With how many texts or characters nodes may begin; those of a rule after those of the rules that it begins with.

    More than `MOST_STARTS` are one more than that.
    """

    def __init__(self, rules: Rules, empty: set[int]) -> None:
        self._rules, self._empty = rules, empty
        self._known: dict[str | int, int] = {}

    def of(self, node: Node) -> int:
        """Those of a node, which are counted once."""
        key = node.name if isinstance(node, Rule) else id(node)
        if key not in self._known:
            self._known[key] = min(self._counted(node), MOST_STARTS + 1)
        return self._known[key]

    def _counted(self, node: Node) -> int:
        match node:
            case Rule(name):
                return self.of(self._rules[name])
            case Sequence(parts):
                return sum(map(self.of, _foremost(parts, self._empty)))
            case Text() | Chars():
                return 1
        return sum(map(self.of, _inner(node)))


def _foremost(parts: Iterable[Node], empty: set[int]) -> Iterator[Node]:
    """The parts of a sequence with one of which a text of it may begin."""
    for part in parts:
        yield part
        if id(part) not in empty:
            return


def _beginnings(node: Node, empty: set[int]) -> set[str]:
    """The rules with which a node may begin."""
    names, waiting = set[str](), [node]
    while waiting:
        match waiting.pop():
            case Rule(name):
                names.add(name)
            case Sequence(parts):
                waiting += _foremost(parts, empty)
            case other:
                waiting += _inner(other)
    return names
