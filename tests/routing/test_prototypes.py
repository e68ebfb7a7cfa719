"""Labels known by examples alone: one distribution with the trained ones, whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import BASE
from dlp_local.routing.corrections import SAME_AT, Corrections
from dlp_local.routing.prototypes import (
    BASE_SIMILARITY,
    MAX_PROTOTYPES,
    REFERENCE_COUNT,
    Prototypes,
    combine,
    directions,
)

SEEDS = st.integers(0, 2**32 - 1)
COSINES = st.floats(-1, 1, width=32)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def near(center, rng, count, spread=0.1):
    """Unit vectors around a direction."""
    return unit(center + spread * rng.normal(size=(count, len(center))))


def a_distribution(rng, count):
    return rng.dirichlet(np.ones(count), size=1).astype(np.float32)


@given(SEEDS, st.integers(0, 5), st.integers(1, 6))
def test_trained_and_new_labels_share_one_distribution(seed, trained, new):
    rng = np.random.default_rng(seed)
    known = a_distribution(rng, trained) if trained else np.zeros((1, 0), np.float32)
    both = combine(known, rng.uniform(-1, 1, (1, trained)), rng.uniform(-1, 1.3, (1, new)))
    assert both.shape == (1, trained + new)
    assert both.sum() == pytest.approx(1, abs=1e-5)
    assert (both >= 0).all()


@given(SEEDS, st.integers(2, 6), st.integers(1, 4))
def test_new_labels_do_not_change_how_the_trained_ones_compare(seed, trained, new):
    rng = np.random.default_rng(seed)
    known = a_distribution(rng, trained)
    both = combine(known, rng.uniform(0, 1, (1, trained)), rng.uniform(0, 0.5, (1, new)))
    left = both[0, :trained]
    np.testing.assert_allclose(left / left.sum(), known[0], rtol=1e-4, atol=1e-6)


@given(SEEDS, st.integers(2, 6))
def test_a_new_label_with_no_example_near_changes_the_others_little(seed, trained):
    rng = np.random.default_rng(seed)
    known = a_distribution(rng, trained)
    rivals = rng.uniform(0.3, 1, (1, trained))
    both = combine(known, rivals, np.array([[0.0]]))
    assert np.abs(both[0, :trained] - known[0]).max() < 0.01


@given(SEEDS)
def test_a_nearer_example_never_makes_its_label_less_probable(seed):
    rng = np.random.default_rng(seed)
    known, rivals = a_distribution(rng, 3), rng.uniform(0, 1, (1, 3))
    far, close = sorted(rng.uniform(0, 1, 2))
    assert combine(known, rivals, np.array([[far]]))[0, 3] <= combine(known, rivals, np.array([[close]]))[0, 3] + 1e-6


@given(SEEDS, st.integers(1, 12))
def test_the_order_of_examples_does_not_count(seed, count):
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(count, 8)))
    mixed = vectors[rng.permutation(count)]
    some = unit(rng.normal(size=(4, 8)))
    one, other = (Prototypes.of({"a": v}, 8).similarities(some) for v in (vectors, mixed))
    np.testing.assert_allclose(one, other, atol=1e-3)


@given(SEEDS, st.integers(1, 200))
def test_directions_stand_for_every_vector_once(seed, count):
    found = directions(unit(np.random.default_rng(seed).normal(size=(count, 6))))
    assert sum(n for _, n in found) == count
    assert len(found) <= MAX_PROTOTYPES
    for center, _ in found:
        assert np.linalg.norm(center) == pytest.approx(1, abs=1e-4)


def test_examples_of_one_kind_are_one_direction_and_of_two_kinds_two():
    rng = np.random.default_rng(0)
    one = unit(rng.normal(size=64))
    same = near(one, rng, 20, 0.05)
    assert len(directions(same)) == 1
    mixed = directions(np.concatenate([same, near(-one, rng, 15, 0.05)]))
    assert sorted(n for _, n in mixed) == [15, 20]


@pytest.mark.parametrize(("count", "dims"), [(30, 8), (8, 8), (7, 8), (3, 64)])
def test_vectors_are_halved_along_their_greatest_variance_whichever_are_more_they_or_their_numbers(count, dims):
    rng = np.random.default_rng(count)
    axis = np.eye(dims)[0]
    sides = np.where(np.arange(count) % 3, 1.0, -1.0)
    found = directions(unit(sides[:, None] * axis + 0.01 * rng.normal(size=(count, dims))))
    assert sorted(n for _, n in found) == sorted([int((sides > 0).sum()), int((sides < 0).sum())])
    assert all(abs(center[0]) > 0.99 for center, _ in found)


def test_one_example_counts_like_the_mean_of_five():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2000, 256)) / 16
    topic = unit(rng.normal(size=256))
    rows = unit(topic + noise)  # two of them have a cosine of about 0.5
    one, five = (Prototypes.of({"a": rows[:n]}, 256).similarities(rows[10:]).mean() for n in (1, REFERENCE_COUNT))
    assert one == pytest.approx(five, rel=0.1)


def test_a_label_without_examples_is_none():
    found = Prototypes.of({"a": np.zeros((0, 4), np.float32), "b": np.eye(4, dtype=np.float32)[:1]}, 4)
    assert found.labels == ("b",)
    assert Prototypes.of({}, 4).similarities(np.eye(4, dtype=np.float32)).shape == (4, 0)


def test_base_wins_where_nothing_is_near():
    assert combine(np.ones((1, 1), np.float32), np.array([[BASE_SIMILARITY]]), np.array([[0.2, 0.1]]))[0, 0] > 0.9
    assert combine(np.ones((1, 1), np.float32), np.array([[BASE_SIMILARITY]]), np.array([[0.6, 0.1]]))[0, 1] > 0.9


# ---- corrections ----


def corrected(*entries, dims=4):
    made = Corrections((), np.zeros((0, dims), np.float32), ())
    for text, vector, label in entries:
        made = made.add(text, np.asarray(vector, np.float32), label)
    return made


@given(SEEDS, st.lists(st.sampled_from(("a", "b", BASE, "gone")), max_size=5))
def test_corrections_leave_a_distribution(seed, labels):
    rng = np.random.default_rng(seed)
    entries = [(str(i), unit(rng.normal(size=4)), label) for i, label in enumerate(labels)]
    own = dict(zip(("a", "b", BASE), rng.dirichlet(np.ones(3)).tolist(), strict=True))
    after = corrected(*entries).apply(own, unit(rng.normal(size=4)))
    assert set(after) == set(own)
    assert sum(after.values()) == pytest.approx(1)
    assert all(p >= 0 for p in after.values())


@given(COSINES)
def test_the_nearer_the_corrected_message_the_more_it_counts(cosine):
    message = np.array([cosine, np.sqrt(1 - cosine**2), 0, 0], np.float32)
    after = corrected(("t", [1, 0, 0, 0], "a")).apply({"a": 0.0, BASE: 1.0}, message)
    assert (after["a"] > 0.5) == (float(message[0]) > SAME_AT) or abs(cosine - SAME_AT) < 1e-3
    if cosine > 0.95:
        assert after["a"] > 0.99
    if cosine < 0.5:
        assert after["a"] < 0.01


def test_the_last_correction_of_a_text_holds():
    both = corrected(("t", [1, 0, 0, 0], "a"), ("t", [1, 0, 0, 0], "b"))
    assert both.texts == ("t",)
    assert both.apply({"a": 1.0, "b": 0.0}, np.array([1, 0, 0, 0], np.float32))["b"] > 0.9
