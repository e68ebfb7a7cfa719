"""Rows packed into batches."""

import itertools
import random

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tools.side_by_side import data  # noqa: E402
from tools.side_by_side.backbone import after_prefix  # noqa: E402

FRAME = data.ChatFrame("<", ">", "!")
EXAMPLES = st.lists(
    st.integers(2, 20).flatmap(lambda n: st.integers(1, n - 1).map(lambda at: data.Example(tuple(range(n)), at))),
    max_size=40,
)


def tokenize(text):
    return [ord(letter) % 96 for letter in text]


def test_an_example_is_a_framed_message_and_its_ended_answer():
    example = FRAME.example("ab", "cd", tokenize)
    assert example.tokens == tuple(tokenize("<ab>cd!"))
    assert example.answer_at == 4


@given(EXAMPLES)
@settings(max_examples=30, deadline=None)
def test_packing_keeps_every_example_and_no_row_overflows(examples):
    rows = data.pack(examples, 20)
    assert sorted(itertools.chain(*rows), key=hash) == sorted(examples, key=hash)
    assert all(sum(len(example.tokens) for example in row) <= 20 for row in rows)


def test_an_example_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="an example of 5 tokens in rows of 4"):
        data.pack([data.Example((1, 2, 3, 4, 5), 2)], 4)


@given(EXAMPLES.filter(bool), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=30, deadline=None)
def test_only_answers_are_learned_each_token_from_the_one_before_it(examples, brevity):
    rows = data.pack(examples, 20)
    made = data.batch(rows, 20, brevity)
    assert (made.weights > 0).sum() == sum(len(example.tokens) - example.answer_at for example in examples)
    for ids, targets, weights, segments in zip(made.ids, made.targets, made.weights, made.segments, strict=True):
        for place in weights.nonzero()[0]:
            assert targets[place] == ids[place + 1]
            assert segments[place] == segments[place + 1] != data.NOBODY


def test_with_brevity_one_every_answer_counts_alike():
    rows = [[data.Example((1, 2, 3, 4, 5), 1), data.Example((1, 2), 1)]]
    assert data.batch(rows, 8, brevity=1.0).weights.sum() == pytest.approx(2)


def test_examples_packed_into_one_row_do_not_see_each_other(backbone):
    one, two = data.Example((1, 40, 41, 7, 8), 3), data.Example((1, 60, 61), 2)

    def hidden(rows):
        batch = data.batch(rows, 8)
        prefix = backbone.prefix([5, 9])
        bias = data.attention_bias(torch.from_numpy(batch.segments), 2, 0, torch.float32)
        with torch.no_grad():
            return backbone.hidden(
                torch.from_numpy(batch.ids), torch.from_numpy(batch.positions) + 2, after_prefix(prefix, bias)
            )

    packed = hidden([[one, two]])
    torch.testing.assert_close(packed[:, :5], hidden([[one]])[:, :5], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(packed[:, 5:], hidden([[two]])[:, :3], atol=1e-5, rtol=1e-5)


def test_a_stream_gives_full_batches_and_leaves_out_what_is_too_long():
    draw = random.Random(0)
    lengths = itertools.cycle([3, 6, 30, 9])
    examples = (data.Example(tuple(range(next(lengths))), 1) for _ in itertools.count())
    for batch in itertools.islice(data.batches(examples, 4, 16, draw, pool=2), 20):
        assert batch.ids.shape == (4, 16)
        assert batch.ids.max() < 9
