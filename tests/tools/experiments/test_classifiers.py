"""The router's part: what is compared, on which rows, and the share of base that is found at a bounded loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import BASE
from dlp_local.training.router.fit import Shape, fit_router
from tools.experiments.classifiers import OTHERS, Classifier, Rows, milliseconds, of_file, ours
from tools.experiments.router import capped, judged, recall_at

DIMS = 16


def clusters(labels, each, seed, spread=0.2):
    """Unit vectors around one direction for each label."""
    rng = np.random.default_rng(seed)
    directions = np.eye(DIMS)[: len(labels)]
    x = np.concatenate([direction + rng.normal(0, spread, (each, DIMS)) for direction in directions])
    y = tuple(label for label in labels for _ in range(each))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), y


LABELS = ("dates", "shell", "sql")


@pytest.fixture(scope="module")
def rows():
    background = clusters([*LABELS, BASE], 40, seed=3)[0][-40:]
    (x, y), (x_held, y_held) = clusters(LABELS, 40, seed=0), clusters(LABELS, 12, seed=1)
    return Rows(x, y, x_held, y_held, background)


def check(classifier):
    x, truth = clusters([*LABELS, BASE], 25, seed=2)
    probabilities = classifier.probabilities(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    found = judged(classifier, x, truth)
    assert set(classifier.labels) == {*LABELS, BASE}
    assert found["accuracy"] > 0.9
    assert found["recall"] > 0.8
    assert found["recall_at"] > 0.8
    assert found["calibration_error"] < 0.35
    assert classifier.parameters >= 4 * DIMS


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_classifier_learns_the_same_rows(name, rows):
    check(OTHERS[name](rows))


def test_our_recipe_is_run_from_its_file_and_counts_what_it_learnt(rows, tmp_path):
    classifier = ours(rows, tmp_path / "new" / "router.onnx", Shape(members=2, hidden=16, anchors=4))
    check(classifier)
    again = of_file(tmp_path / "new" / "router.onnx")
    assert (again.labels, again.parameters) == (classifier.labels, classifier.parameters)


def test_a_router_of_small_numbers_has_as_many_of_them(rows, tmp_path):
    trained = fit_router(rows.x, rows.y, held_out=(rows.x_held, rows.y_held), shape=Shape(members=2, hidden=16))
    for name, is_small in (("whole.onnx", False), ("small.onnx", True)):
        trained.write(tmp_path / name, "an-encoder", is_small=is_small)
    whole, small = (of_file(tmp_path / name).parameters for name in ("whole.onnx", "small.onnx"))
    assert whole > 2 * 16 * DIMS
    assert small >= whole


def test_a_lift_of_base_sends_it_more(rows, tmp_path):
    shape = Shape(members=1, hidden=16, anchors=4)
    x, _ = clusters(LABELS, 5, seed=4)
    plain, lifted = (ours(rows, tmp_path / f"{lift}.onnx", shape, lift) for lift in (0.0, 3.0))
    base = plain.labels.index(BASE)
    assert (lifted.probabilities(x)[:, base] > plain.probabilities(x)[:, base]).all()


def test_a_classifier_is_timed_one_message_at_a_time():
    shapes = set()

    def probabilities(x):
        shapes.add(x.shape)
        return np.ones((len(x), 1))

    took = milliseconds({"one": Classifier((BASE,), probabilities, 0)}, np.ones((3, DIMS), np.float32))
    assert shapes == {(1, DIMS)}
    assert took["one"] >= 0


def test_recall_of_base_at_a_loss_by_hand():
    odds = np.array([5.0, 2.0, 1.0, 0.0, 6.0, 1.5])
    is_base = np.array([False, False, False, False, True, True])
    is_right = np.array([True, True, True, True, False, False])
    assert recall_at(odds, is_base, is_right, most_lost=0.0) == 0.5
    assert recall_at(odds, is_base, is_right, most_lost=0.25) == 0.5
    assert recall_at(odds, is_base, is_right, most_lost=0.5) == 1.0


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.booleans(), st.booleans()), min_size=1, max_size=60), st.floats(0, 0.5)
)  # fmt: skip
def test_no_more_is_lost_than_may_be(rows, most_lost):
    odds, is_base = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    is_right = np.array([row[2] for row in rows]) & ~is_base
    if not is_base.any():
        return
    recall = recall_at(odds, is_base, is_right, most_lost)
    found = np.sort(odds[is_base])[::-1][: round(recall * is_base.sum())]
    threshold = found[-1] if len(found) else np.inf
    assert np.count_nonzero(odds[is_right] >= threshold) <= most_lost * np.count_nonzero(~is_base)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=30), st.integers(1, 3))
def test_so_many_rows_of_a_label_and_none_of_two(rows, most):
    chosen = capped(rows, most)
    assert chosen == capped(rows, most)
    for text, label in chosen.items():
        assert {other for same, other in rows if same == text} == {label}
    assert all(list(chosen.values()).count(label) <= most for label in "xyz")
