"""What counts as a loop, and what of ordinary text does not."""

import random
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.engine.loops import LONGEST_PERIOD, REPEATS, SHORTEST_LOOP, LoopDetector
from tests.support.prompts import PROMPTS


def fires_at(tokens):
    """The number of tokens after which the detector says that they loop; None where it never does."""
    detector = LoopDetector()
    return next((count for count, token in enumerate(tokens, 1) if detector.feed(token)), None)


def part(seed, length):
    """Tokens of which none comes twice: they repeat nothing by themselves."""
    return random.Random(seed).sample(range(1000, 1_000_000), length)


parts = st.builds(part, st.integers(0, 999), st.integers(1, LONGEST_PERIOD))


@given(parts, st.builds(part, st.integers(1000, 1999), st.integers(0, 300)))
def test_a_part_of_any_length_that_comes_over_and_over_is_a_loop_as_soon_as_it_came_often_enough(repeated, before):
    tokens = [*before, *islice(cycle(repeated), 3000)]
    assert fires_at(tokens) == len(before) + max(SHORTEST_LOOP, REPEATS * len(repeated))


@given(parts)
def test_a_part_that_came_less_often_is_none(repeated):
    often = max(SHORTEST_LOOP, REPEATS * len(repeated)) - 1
    assert fires_at([*islice(cycle(repeated), often), *part(2000, 600)]) is None


@given(st.integers(1, 64), st.integers(2, 40))
def test_a_list_that_counts_on_is_none(length, rounds):
    line = part(3000, length)
    assert fires_at([token for number in range(rounds) for token in (*line, number)]) is None


def characters(text):
    """A text as a model reads it that knows single bytes alone, which repeats itself most."""
    return text.encode()


TABLE = "| planet | size |\n| --- | --- |\n" + "".join(f"| planet {i} | {i * 1000} km |\n" for i in range(60))
CODE = "".join(f"    if value == {i}:\n        return True\n" for i in range(40)) + "    pass\n" * 12
RULE = f"Heading\n{'-' * 120}\ntext\n{'=' * 120}\n"
MATRIX = "[" + ", ".join("[0, 0, 0, 0, 0, 0, 0, 0]" for _ in range(8)) + "]"
REFRAIN = "Row, row, row your boat, gently down the stream, merrily, merrily, life is but a dream. " * 3


@pytest.mark.parametrize("text", [TABLE, CODE, RULE, MATRIX, REFRAIN, *map("\n".join, PROMPTS.values())])
def test_tables_code_rules_zeros_and_refrains_are_none(text):
    assert fires_at(characters(text)) is None


def test_a_long_paragraph_that_comes_again_and_again_is_a_loop():
    paragraph = "It is important to note that the lighthouse stood on a rock, and that its keeper was an old man. " * 1
    assert fires_at(characters(paragraph * 10)) == REPEATS * len(paragraph)
