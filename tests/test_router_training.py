import subprocess
import sys

import numpy as np
import pytest

REASON = "needs the `train` extra (scikit-learn, skl2onnx, onnx)"
pytest.importorskip("sklearn", reason=REASON)
pytest.importorskip("skl2onnx", reason=REASON)

from dlp_local.routing import Router  # noqa: E402
from dlp_local.routing.training import (  # noqa: E402
    best_temperature,
    calibration_error,
    export_router,
    train_router,
)

LABELS = ("base", "shell", "sql")


def clusters(rows, seed):
    """Overlapping clouds of points, and the label of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(3, 16))
    index = rng.integers(0, 3, rows)
    return (centres[index] * 0.4 + rng.normal(size=(rows, 16))).astype(np.float32), [LABELS[i] for i in index]


@pytest.fixture(scope="module")
def trained():
    return train_router(*clusters(400, 0), held_out=clusters(600, 1), hidden=(64,), epochs=400)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("router") / "router.onnx"
    export_router(trained, path, "a test encoder")
    return path


def test_the_onnx_file_gives_scikit_learns_probabilities(trained, exported):
    rows, _ = clusters(200, 2)
    found = Router(exported, threads=1).probabilities(rows)
    np.testing.assert_allclose(found, trained.classifier.predict_proba(rows), atol=1e-5)


def test_two_labels_are_enough(tmp_path):
    rows, labels = clusters(200, 3)
    trained = train_router(rows, ["base" if label == "base" else "shell" for label in labels], hidden=(8,), epochs=5)
    export_router(trained, tmp_path / "two.onnx", "a test encoder")
    router = Router(tmp_path / "two.onnx", threads=1)
    assert router.labels == ("base", "shell")
    np.testing.assert_allclose(router.probabilities(rows), trained.classifier.predict_proba(rows), atol=1e-5)


def test_the_file_describes_itself_and_leaves_nothing_beside_it(exported):
    router = Router(exported, threads=1)
    assert router.labels == LABELS
    assert router.encoder == "a test encoder"
    assert router.dims == 16
    assert [path.name for path in exported.parent.iterdir()] == ["router.onnx"]


def test_temperature_mends_an_overconfident_router(trained):
    assert trained.temperature > 1.2
    assert trained.calibration_error < trained.calibration_error_before / 2
    assert trained.accuracy > 0.5


def test_temperature_does_not_change_what_is_most_probable():
    rows, labels = clusters(300, 4)
    sharp = train_router(rows, labels, held_out=clusters(300, 5), hidden=(16,), epochs=30)
    z = sharp.classifier.predict_proba(rows)
    before = z**sharp.temperature
    np.testing.assert_array_equal(before.argmax(axis=1), z.argmax(axis=1))


def test_the_same_seed_trains_the_same_router(trained):
    again = train_router(*clusters(400, 0), held_out=clusters(600, 1), hidden=(64,), epochs=400)
    np.testing.assert_array_equal(again.classifier.coefs_[0], trained.classifier.coefs_[0])
    assert again.temperature == trained.temperature


def test_the_temperature_that_made_the_labels_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in true])
    sharp = np.exp(logits * 3) / np.exp(logits * 3).sum(axis=1, keepdims=True)
    assert best_temperature(sharp, truth) == pytest.approx(3, rel=0.05)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.array([[0.9, 0.1]] * 10)
    assert calibration_error(probabilities, np.array([0] * 9 + [1])) == pytest.approx(0, abs=1e-9)
    assert calibration_error(probabilities, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.4)


def test_a_router_over_five_million_parameters_is_refused():
    rows, labels = clusters(50, 0)
    with pytest.raises(ValueError, match="at most 5 M"):
        train_router(rows, labels, hidden=(300_000,))


def test_one_label_alone_is_refused():
    with pytest.raises(ValueError, match="at least 2 labels"):
        train_router(clusters(50, 0)[0], ["sql"] * 50)


def test_routing_is_imported_without_the_train_extra():
    code = (
        "import sys, dlp_local.routing, dlp_local.routing.training; "
        "assert not {'sklearn', 'skl2onnx', 'onnx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
