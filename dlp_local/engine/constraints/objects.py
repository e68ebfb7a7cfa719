"""Objects of JSON schemas, as parts of a grammar: the properties in the schema's order, then others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import NOTHING, Chars, Node, Rule, Text, choice, optional, repeat, sequence
from dlp_local.engine.constraints.text_rules import ALL, complement, merged, unescaped

LONGEST_NAME = 100
"""Characters of a property's name beside which others are allowed."""


def object_node(
    values: Mapping[str, Rule],
    required: frozenset[str],
    others: Rule | None,
    space: Rule,
    add: Callable[[Node], Rule],
) -> Node:
    """An object with these properties, in this order, of which some are `required`; then any with values of `others`.

    `add` makes a rule of a node.
    """
    members = [
        (sequence(Text(json.dumps(name, ensure_ascii=False)), space, ":", space, value), name in required)
        for name, value in values.items()
    ]
    following: Node = NOTHING  # what may stand after a member, with the comma before it
    beginning: Node = NOTHING  # what may stand where none stands yet
    if others is not None:
        if long := [name for name in values if len(name) > LONGEST_NAME]:
            raise InputError(f"the property {long[0][:30]!a}… has too long a name for others beside it")
        member = add(sequence('"', _other_name(frozenset(values)), '"', space, ":", space, others))
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
    return choice(options) if "" in taken else optional(choice(options))
