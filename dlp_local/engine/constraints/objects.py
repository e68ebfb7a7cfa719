"""Objects of JSON schemas, as parts of a grammar: the properties in the schema's order, then others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import (
    NOTHING,
    Chars,
    Choice,
    Node,
    Rule,
    Text,
    choice,
    optional,
    repeat,
    sequence,
)
from dlp_local.engine.constraints.text_rules import ALL, complement, merged, unescaped

LONGEST_NAME = 100
"""Characters of a property's name beside which others are allowed."""

MOST_BEGINNINGS = 20_000
"""Different beginnings of all such names: at each of them the grammar says how others go on."""


def object_node(
    values: Mapping[str, Rule],
    required: frozenset[str],
    others: Rule | None,
    space: Rule,
    add: Callable[[Node], Rule],
    never: frozenset[str] = frozenset(),
) -> Node:
    """An object with these properties, in this order, of which some are `required`; then any with values of `others`.

    `add` makes a rule of a node. `never`: the names of properties that it has not.
    """
    members = [
        (sequence(Text(json.dumps(name, ensure_ascii=False)), space, ":", space, value), name in required)
        for name, value in values.items()
    ]
    following: Node = NOTHING  # what may stand after a member, with the comma before it
    beginning: Node = NOTHING  # what may stand where none stands yet
    if others is not None:
        names = never.union(values)
        if long := [name for name in names if len(name) > LONGEST_NAME]:
            raise InputError(f"the property {long[0][:30]!a}… has too long a name for others beside it")
        if len({name[:end] for name in names for end in range(len(name) + 1)}) > MOST_BEGINNINGS:
            raise InputError("its properties have too many long names for others beside them")
        member = add(sequence('"', _other_name(names), '"', space, ":", space, others))
        following = add(repeat(sequence(",", space, member)))
        beginning = add(optional(member, following))
    for member_node, is_required in reversed(members):
        rule = add(member_node)
        after = following
        next_one = sequence(",", space, rule, after)
        following = add(next_one if is_required else choice([next_one, after]))
        beginning = add(sequence(rule, after) if is_required else choice([sequence(rule, after), beginning]))
    return sequence("{", space, beginning, "}", space)


def _other_name(taken: frozenset[str]) -> Node:
    """The content of a string that is none of these names; no escape stands in it, which could spell one of them."""
    following: dict[str, set[str]] = {}
    for name in taken - {""}:
        following.setdefault(name[0], set()).add(name[1:])
    others = unescaped(complement(merged((ord(first), ord(first)) for first in following)))
    options = [sequence(Chars(others), repeat(Chars(unescaped(ALL))))] if others else []
    options += [
        sequence(first, _other_name(frozenset(rests)))
        for first, rests in sorted(following.items())
        if unescaped(((ord(first), ord(first)),))
    ]
    one = options[0] if len(options) == 1 else Choice(tuple(options))  # they begin differently
    return one if "" in taken else optional(one)
