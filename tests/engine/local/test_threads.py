"""The number of threads follows what tokens take."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.engine.local.threads import ThreadChooser, ladder

QUIET = {1: 0.017, 2: 0.0125}
BUSY = {1: 0.017, 2: 0.2}
SECONDS = st.floats(0.01, 0.3)


def write(chooser: ThreadChooser, tokens: int, seconds: Callable[[int], float]) -> float:
    """The seconds that an answer takes, each token as long as `seconds` says for the number of threads."""
    total = 0.0
    for _ in range(tokens):
        token = seconds(chooser.count)
        chooser.record(token)
        total += token
    return total


def test_all_threads_begin_and_stay_where_they_are_faster():
    chooser = ThreadChooser((1, 2))
    assert chooser.count == 2
    assert write(chooser, 1000, QUIET.__getitem__) <= 1.05 * 1000 * QUIET[2]


def test_a_busy_neighbor_is_evaded_within_a_few_tokens_and_its_end_is_noticed():
    chooser = ThreadChooser((1, 2))
    write(chooser, 200, QUIET.__getitem__)
    assert write(chooser, 6, BUSY.__getitem__) <= 4 * BUSY[2]
    assert chooser.count == 1
    assert write(chooser, 1000, BUSY.__getitem__) <= 1.15 * 1000 * BUSY[1]
    write(chooser, 800, QUIET.__getitem__)
    assert write(chooser, 500, QUIET.__getitem__) <= 1.05 * 500 * QUIET[2]


@given(st.dictionaries(st.sampled_from([1, 2, 4, 7, 8]), SECONDS, min_size=1), st.integers(0, 1000))
def test_an_answer_takes_hardly_longer_than_with_the_best_number(mean_seconds, seed):
    chooser, rng = ThreadChooser(sorted(mean_seconds)), random.Random(seed)
    best = min(mean_seconds.values())
    write(chooser, 100, mean_seconds.__getitem__)
    total = write(chooser, 2000, lambda count: mean_seconds[count] * rng.uniform(0.9, 1.1))
    assert total <= 1.15 * 2000 * best + 10 * max(mean_seconds.values())


@pytest.mark.parametrize("most", [1, 2, 3, 8, 512])
def test_one_thread_and_all_of_them_are_always_worth_a_trial(most):
    counts = ladder(most)
    assert counts[0] == 1
    assert counts[-1] == most
    assert list(counts) == sorted(set(counts))


def test_a_number_that_a_person_set_is_kept():
    chooser = ThreadChooser((3,))
    write(chooser, 100, lambda count: random.Random(count).random())
    assert chooser.count == 3


def test_a_trial_is_for_as_many_answers_as_the_tokens_before_it_and_never_for_a_prompt():
    chooser = ThreadChooser((1, 2))
    chooser.record(0.01)
    assert (chooser.count_for(1), chooser.count_for(16), chooser.settled) == (1, 2, 2)
    chooser.record(0.1, answers=16)
    assert (chooser.count_for(16), chooser.count_for(1), chooser.settled) == (1, 2, 2)


def test_fewer_threads_take_over_for_many_answers_too_where_they_are_faster():
    chooser = ThreadChooser((1, 2))
    for _ in range(10):
        chooser.record(BUSY[chooser.count_for(16)], answers=16)
    assert chooser.settled == 1
