"""What is looked at in a stranger's rules: the right ones, and each no more than a few times."""

import sys
from contextlib import suppress
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.gbnf import check_grammar
from dlp_local.engine.constraints.grammar import NOTHING, Chars, Choice, Repeat, Rule, Sequence, Text
from dlp_local.engine.constraints.grammar_checks import check_rules, check_times, settled

NAMES = "abcde"
LETTER = Chars(((0x61, 0x61),))
NODES = st.recursive(
    st.builds(Rule, st.sampled_from(NAMES)) | st.sampled_from([Text(""), Text("x"), LETTER, NOTHING]),
    lambda inner: (
        st.builds(Sequence, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Choice, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Repeat, inner, st.integers(0, 2))
    ),
    max_leaves=8,
)


def holds(node, names, of_leaf):
    match node:
        case Rule(name):
            return name in names
        case Sequence(parts):
            return all(holds(part, names, of_leaf) for part in parts)
        case Choice(options):
            return any(holds(option, names, of_leaf) for option in options)
        case Repeat(repeated, least, _):
            return least == 0 or holds(repeated, names, of_leaf)
    return of_leaf(node)


def within(node):
    inner = {Sequence: "parts", Choice: "options"}.get(type(node))
    parts = getattr(node, inner) if inner else (node.node,) if isinstance(node, Repeat) else ()
    return [node, *(one for part in parts for one in within(part))]


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, NODES)))
def test_what_ends_and_what_may_be_empty_is_what_going_round_until_nothing_changes_finds(rules):
    for of_leaf in (lambda leaf: True, lambda leaf: leaf == Text("")):
        names = set()
        while more := {name for name, node in rules.items() if name not in names and holds(node, names, of_leaf)}:
            names |= more
        found = settled(rules, of_leaf)
        for node in (one for rule in rules.values() for one in within(rule)):
            assert (id(node) in found) == holds(node, names, of_leaf)


def chain(length):
    """Each rule is used before it is defined."""
    return {f"r{n}": Rule(f"r{n + 1}") for n in range(length)} | {f"r{length}": LETTER}


def chain_and_all(length):
    """One rule more waits for each of a chain."""
    return {"all": Sequence(tuple(Rule(f"r{n}") for n in range(length)))} | chain(length)


def empties(length):
    """Sequences within alternatives within sequences, all of which begin with nothing."""
    node = Sequence((NOTHING,) * length)
    for _ in range(length // 40):
        node = Choice((Text("a"), Sequence((NOTHING, node))))
    return {"root": node}


def repeated(length):
    """Repetitions of one time, within one another."""
    node = Sequence((*(NOTHING,) * length, LETTER))
    for _ in range(length // 40):
        node = Repeat(node, 1, 1)
    return {"root": node}


def calls(rules):
    """How many functions are called for a check of rules."""
    count = 0

    def called(_, event, __):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        for check in (check_rules, check_times):
            with suppress(InputError, RecursionError):
                check(rules)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("family", [chain, chain_and_all, empties, repeated])
def test_twice_the_rules_take_twice_the_work_and_not_four_times(family):
    assert calls(family(2000)) < 2.5 * calls(family(1000))


def test_four_thousand_rules_that_begin_with_one_another_are_checked_in_a_moment():
    started = thread_time()
    check_rules(chain(4000))
    assert thread_time() - started < 5
    with pytest.raises(InputError, match="always holds itself"):
        check_rules(chain(1999) | {"r1999": Sequence((LETTER, Rule("r0")))})


def test_a_repetition_that_is_not_closed_is_refused_in_a_moment():
    started = thread_time()
    with pytest.raises(InputError, match="not expected"):
        check_grammar('root ::= "a"{1,' + " " * 100_000)
    assert thread_time() - started < 5
    spaced = 'root ::= "a"{ 1 , 3 } "b"{2 , } "c"{ 2 }'
    assert check_grammar(spaced) == spaced
