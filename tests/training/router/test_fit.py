"""A router is fitted to embeddings: it learns, is calibrated, and stays small."""

import numpy as np
import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE
from dlp_local.routing import Router
from dlp_local.training.router.fit import MAX_PARAMETERS, Shape, fit_router
from tests.support.clusters import LABELS, clusters


def test_two_labels_are_enough(tmp_path):
    rows, labels = clusters(200, 3)
    names = ["base" if label == "base" else "shell" for label in labels]
    trained = fit_router(rows, names, held_out=(rows[:0], []))
    trained.write(tmp_path / "two.onnx", "a test encoder")
    router = Router(tmp_path / "two.onnx", threads=1)
    assert router.labels == ("base", "shell")
    np.testing.assert_allclose(router.probabilities(rows), trained.probabilities(rows), atol=1e-5)
    assert trained.temperature == 1.0


def test_a_small_router_stays_within_its_shape():
    rows, labels = clusters(400, 0)
    network = fit_router(rows, labels, held_out=(rows[:0], []), shape=Shape(members=2, hidden=8, anchors=3)).network
    assert network.w1.shape == (16, 2 * 8)
    assert len(network.anchors) <= 3 * len(LABELS)


def test_the_density_counts_more_where_an_adapter_has_few_rows():
    rows, labels = clusters(2000, 3)
    shape, none = Shape(members=1, hidden=8), (rows[:0], [])
    few = [i for i, label in enumerate(labels) if label != "shell" or i < 40]
    weights = [
        fit_router(rows[of], [labels[i] for i in of], held_out=none, shape=shape).network.kernel_weight
        for of in (few, range(2000))
    ]
    assert weights[0] > 2 * weights[1]


def test_the_router_learns(trained):
    rows, labels = clusters(1000, 9)
    found = np.array(trained.labels)[trained.probabilities(rows).argmax(axis=1)] == labels
    assert found.mean() == pytest.approx(trained.accuracy, abs=0.06)
    assert found.mean() > 0.6


def test_temperature_mends_an_overconfident_router(trained):
    assert trained.temperature > 1.2
    assert trained.calibration_error < trained.calibration_error_before / 1.5


def test_rare_base_rows_are_raised_to_a_share_of_the_messages():
    rows, labels = clusters(2000, 6)
    rare = [i for i, label in enumerate(labels) if label != BASE or i % 30 == 0]
    names = [labels[i] for i in rare]
    raised = fit_router(rows[rare], names, held_out=clusters(300, 8))
    base = raised.probabilities(rows)[:, raised.labels.index(BASE)].mean()
    share = names.count(BASE) / len(names)
    assert share < 0.04
    assert base > 2 * share


def test_calibration_does_not_change_what_is_most_probable(trained):
    rows, _ = clusters(300, 4)
    sharp = trained.network.calibrated(1 / trained.temperature, np.zeros(len(LABELS)))
    assert trained.temperature != 1
    np.testing.assert_array_equal(sharp.logits(rows).argmax(axis=1), trained.network.logits(rows).argmax(axis=1))


def test_the_same_seed_trains_the_same_router(trained):
    again = fit_router(*clusters(400, 0), held_out=clusters(600, 1))
    np.testing.assert_array_equal(again.network.w1, trained.network.w1)
    np.testing.assert_array_equal(again.network.anchors, trained.network.anchors)
    assert again.temperature == trained.temperature


def test_progress_goes_from_nothing_to_all():
    told = []
    fit_router(*clusters(60, 0), held_out=clusters(10, 1), progress=told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1


def test_too_many_labels_for_five_million_parameters_are_refused():
    vectors = np.eye(16, dtype=np.float32).repeat(100, axis=0)
    with pytest.raises(InputError, match="too many for 5,000,000 parameters"):
        fit_router(vectors, [str(number) for number in range(1600)], held_out=(vectors[:0], []))


def test_a_router_stays_under_five_million_parameters():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1000, 384)).astype(np.float32)
    names = [str(number) for number in range(1000)]
    network = fit_router(vectors, names, held_out=(vectors[:0], [])).network
    assert network.parameters < MAX_PARAMETERS


def test_one_label_alone_is_refused():
    rows, _ = clusters(50, 0)
    with pytest.raises(InputError, match="rows of two labels"):
        fit_router(rows, ["sql"] * 50, held_out=(rows[:0], []))
