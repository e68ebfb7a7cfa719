"""Rows become batches without losing a token, seeing each other, or counting more than their share."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.training.adapter.batches import (
    NOBODY,
    Example,
    Feed,
    all_once,
    batch,
    pack,
    training_tokens,
    visible,
)

PREFIXES = ((), (90,), (91, 92, 93), (91, 92, 94, 95))


@st.composite
def example(draw):
    tokens = tuple(draw(st.lists(st.integers(1, 80), min_size=2, max_size=12)))
    return Example(draw(st.sampled_from(PREFIXES)), tokens, draw(st.integers(1, len(tokens) - 1)))


examples = st.lists(example(), min_size=1, max_size=12)
rows = st.lists(st.lists(example(), min_size=1, max_size=4), min_size=1, max_size=3)
lengths = st.integers(1, 40)


def read_back(one):
    """The examples that a batch's arrays hold, but for where their answers begin."""
    found = []
    for ids, segments, of_prefix in zip(one.ids, one.segments, one.of_prefix, strict=True):
        for segment in sorted({*segments.tolist()} - {NOBODY}):
            at = segments == segment
            (prefix,) = {*of_prefix[at].tolist()}
            found.append((one.prefixes[prefix], tuple(ids[at].tolist())))
    return Counter(found)


@settings(max_examples=40)
@given(examples, lengths)
def test_packing_loses_nothing_and_keeps_to_the_length(given, length):
    packed = pack(given, length)
    assert Counter(one for row in packed for one in row) == Counter(given)
    assert all(len(row) == 1 or sum(len(one.tokens) for one in row) <= length for row in packed)


@settings(max_examples=40)
@given(st.lists(example(), min_size=1, max_size=40), lengths)
def test_each_goes_into_the_fullest_row_that_has_room_the_longest_first(given, length):
    wanted = []
    for one in sorted(given, key=lambda one: -len(one.tokens)):
        room = [length - sum(len(other.tokens) for other in row) for row in wanted]
        fitting = [number for number, left in enumerate(room) if left >= len(one.tokens)]
        if fitting:
            wanted[min(fitting, key=room.__getitem__)].append(one)
        else:
            wanted.append([one])
    assert pack(given, length) == wanted


@settings(max_examples=40)
@given(examples, lengths)
def test_no_two_packed_rows_would_fit_into_one(given, length):
    room = sorted(sum(len(one.tokens) for one in row) for row in pack(given, length))
    assert len(room) == 1 or room[0] + room[1] > length


@settings(max_examples=40)
@given(rows)
def test_a_batch_holds_every_token_of_its_rows(given):
    one = batch(given)
    assert read_back(one) == Counter((each.prefix, each.tokens) for row in given for each in row)
    assert one.tokens == sum(len(each.tokens) for row in given for each in row)
    assert one.ids.shape[1] == max(sum(len(each.tokens) for each in row) for row in given)


@settings(max_examples=40)
@given(rows)
def test_positions_go_on_after_the_prefix(given):
    one = batch(given)
    for number, row in enumerate(given):
        wanted = [len(each.prefix) + i for each in row for i in range(len(each.tokens))]
        assert one.positions[number, : len(wanted)].tolist() == wanted


@settings(max_examples=40)
@given(rows)
def test_the_token_after_each_is_learned_where_it_is_of_an_answer_and_nowhere_else(given):
    one = batch(given)
    for number, row in enumerate(given):
        wanted = [
            (len(each.prefix) + i - 1, each.tokens[i]) for each in row for i in range(each.answer_at, len(each.tokens))
        ]
        at = one.weights[number] > 0
        assert list(zip(one.positions[number, at].tolist(), one.targets[number, at].tolist(), strict=True)) == wanted


@settings(max_examples=40)
@given(rows)
def test_the_weights_of_a_row_are_even_and_sum_to_one(given):
    for weights in batch(given).weights:
        assert weights.sum() == pytest.approx(1.0, rel=1e-5)
        assert len({*weights[weights > 0].tolist()}) == 1


@settings(max_examples=40)
@given(rows, st.none() | st.integers(1, 9))
def test_a_token_sees_its_prefix_and_what_precedes_it_in_its_example_within_the_window(given, window):
    one = batch(given)
    seen = visible(one, window)
    columns = [(number, i) for number, prefix in enumerate(one.prefixes) for i in range(len(prefix))]
    for row in range(len(given)):
        for query in range(one.ids.shape[1]):
            if one.segments[row, query] == NOBODY:
                continue
            here = int(one.positions[row, query])
            wanted = {
                column
                for column, (number, i) in enumerate(columns)
                if number == one.of_prefix[row, query] and (window is None or here - i < window)
            }
            for key in range(query + 1):
                is_near = window is None or here - int(one.positions[row, key]) < window
                if one.segments[row, key] == one.segments[row, query] and is_near:
                    wanted.add(len(columns) + key)
            assert {*np.flatnonzero(seen[row, query]).tolist()} == wanted


@settings(max_examples=40)
@given(examples, lengths, st.integers(0, 5))
def test_every_example_comes_once_an_epoch(given, length, seed):
    feed = Feed([given], length, seed)
    wanted = Counter((each.prefix, each.tokens) for each in given)
    batches = feed.batches()
    count = len(pack(given, length))
    assert feed.batches_an_epoch == count
    for _ in range(2):
        assert sum((read_back(one) for one in islice(batches, count)), Counter()) == wanted


@settings(max_examples=40)
@given(examples, examples, lengths)
def test_a_task_with_fewer_rows_begins_anew(few, many, length):
    feed = Feed([few, many], length, 0)
    assert feed.batches_an_epoch == max(len(pack(few, length)), len(pack(many, length)))
    for number, one in enumerate(islice(feed.batches(), 6)):
        assert len(one.ids) == 2
        for task, alone in enumerate((few, many)):
            wanted = next(Feed([alone], length, 0).batches(skipped=number))
            mine = one.segments[task] != NOBODY
            assert one.ids[task][mine].tolist() == wanted.ids[0].tolist()


@settings(max_examples=40)
@given(examples, lengths, st.integers(0, 7))
def test_a_feed_goes_on_where_it_was_left(given, length, skipped):
    wanted = [one.ids.tolist() for one in islice(Feed([given], length, 1).batches(), skipped, skipped + 3)]
    assert [one.ids.tolist() for one in islice(Feed([given], length, 1).batches(skipped), 3)] == wanted


def test_another_seed_has_another_order():
    given = [Example((), (i, i + 1, i + 2), 1) for i in range(1, 30)]
    orders = [[one.ids.tolist() for one in islice(Feed([given], 6, seed).batches(), 5)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


@settings(max_examples=40)
@given(examples, lengths)
def test_held_out_rows_are_computed_once_each(given, length):
    found = sum((read_back(one) for one in all_once(given, length)), Counter())
    assert found == Counter((each.prefix, each.tokens) for each in given)
    assert training_tokens([given, given]) == 2 * sum(len(each.tokens) for each in given)
