import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.values import BASE
from dlp_local.routing import Router
from dlp_local.training.router import fit
from dlp_local.training.router.fit import Shape, best_temperature, calibration_error, train_router
from dlp_local.training.router.write import read_anchors
from tests.support.plain_router import write_plain_router

pytest.importorskip("onnx", reason="needs the `router` extra")

LABELS = ("base", "shell", "sql")


def clusters(rows, seed, spread=1.0):
    """Overlapping clouds of points on the sphere, and the label of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(3, 16))
    index = rng.integers(0, 3, rows)
    points = centres[index] * 0.4 + spread * rng.normal(size=(rows, 16))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit.astype(np.float32), [LABELS[i] for i in index]


@pytest.fixture(scope="module")
def trained():
    return train_router(*clusters(400, 0), held_out=clusters(600, 1))


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("router") / "router.onnx"
    trained.write(path, "a test encoder")
    return path


def test_the_onnx_file_gives_the_probabilities_and_prototypes_of_the_training(trained, exported):
    rows, _ = clusters(200, 2)
    probabilities, similarities = Router(exported, threads=1).with_similarities(rows)
    np.testing.assert_allclose(probabilities, trained.probabilities(rows), atol=1e-5)
    np.testing.assert_allclose(similarities, trained.prototypes.similarities(rows), atol=1e-5)


def test_two_labels_are_enough(tmp_path):
    rows, labels = clusters(200, 3)
    names = ["base" if label == "base" else "shell" for label in labels]
    trained = train_router(rows, names, held_out=(rows[:0], []))
    trained.write(tmp_path / "two.onnx", "a test encoder")
    router = Router(tmp_path / "two.onnx", threads=1)
    assert router.labels == ("base", "shell")
    np.testing.assert_allclose(router.probabilities(rows), trained.probabilities(rows), atol=1e-5)
    assert trained.temperature == 1.0


def test_the_file_describes_itself_and_leaves_nothing_beside_it(exported):
    router = Router(exported, threads=1)
    assert router.labels == LABELS
    assert router.encoder == "a test encoder"
    assert router.dims == 16
    assert router.has_prototypes
    assert [path.name for path in exported.parent.iterdir()] == ["router.onnx"]


def test_the_file_keeps_what_a_later_training_starts_from(exported):
    rows, labels = clusters(400, 0)
    anchors, owners = read_anchors(exported)
    assert set(owners) == set(LABELS)
    np.testing.assert_allclose(np.linalg.norm(anchors, axis=1), 1, atol=1e-5)
    for label in LABELS:
        own = rows[np.array(labels) == label].mean(axis=0)
        theirs = anchors[np.array(owners) == label].mean(axis=0)
        assert own @ theirs > 0.9 * np.linalg.norm(own) * np.linalg.norm(theirs)


def test_a_router_that_is_trained_on_anothers_anchors_keeps_as_many(exported):
    anchors, owners = read_anchors(exported)
    memory = Counter(owners)
    assert min(memory.values()) > 10
    again = train_router(anchors, owners, held_out=(anchors[:0], []), remembered=memory)
    kept = Counter(again.labels[owner] for owner in again.network.shares.argmax(axis=1))
    assert all(kept[label] > 0.9 * memory[label] for label in LABELS)


def test_a_small_router_stays_within_its_shape():
    rows, labels = clusters(400, 0)
    network = train_router(rows, labels, held_out=(rows[:0], []), shape=Shape(members=2, hidden=8, anchors=3)).network
    assert network.w1.shape == (16, 2 * 8)
    assert len(network.anchors) <= 3 * len(LABELS)


def test_a_router_made_elsewhere_keeps_no_anchors_and_a_damaged_one_is_told(tmp_path, exported):
    (tmp_path / "cut.onnx").write_bytes(exported.read_bytes()[:1000])
    with pytest.raises(PackError, match=r"cut\.onnx: not a usable router"):
        read_anchors(tmp_path / "cut.onnx")
    elsewhere = write_plain_router(tmp_path / "elsewhere.onnx", LABELS)
    assert not Router(elsewhere, threads=1).has_prototypes
    assert read_anchors(elsewhere)[1] == ()


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
    raised = train_router(rows[rare], names, held_out=clusters(300, 8))
    base = raised.probabilities(rows)[:, raised.labels.index(BASE)].mean()
    share = names.count(BASE) / len(names)
    assert share < 0.04
    assert base > 2 * share


def test_temperature_does_not_change_what_is_most_probable(trained):
    rows, _ = clusters(300, 4)
    shift = np.where(np.array(trained.labels) == BASE, fit._base_shift(1 / 3), 0)
    sharp = fit.softmax(np.log(trained.probabilities(rows)) * trained.temperature)
    assert not shift.any()
    np.testing.assert_array_equal(sharp.argmax(axis=1), trained.probabilities(rows).argmax(axis=1))


def test_the_same_seed_trains_the_same_router(trained):
    again = train_router(*clusters(400, 0), held_out=clusters(600, 1))
    np.testing.assert_array_equal(again.network.w1, trained.network.w1)
    np.testing.assert_array_equal(again.network.anchors, trained.network.anchors)
    assert again.temperature == trained.temperature


def test_progress_goes_from_nothing_to_all():
    told = []
    train_router(*clusters(60, 0), held_out=clusters(10, 1), progress=told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1


def test_the_temperature_that_made_the_labels_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in true])
    assert best_temperature(logits * 3, truth) == pytest.approx(3, rel=0.05)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.array([[0.9, 0.1]] * 10)
    assert calibration_error(probabilities, np.array([0] * 9 + [1])) == pytest.approx(0, abs=1e-9)
    assert calibration_error(probabilities, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.4)


def test_too_many_labels_for_five_million_parameters_are_refused():
    vectors = np.eye(16, dtype=np.float32).repeat(100, axis=0)
    with pytest.raises(InputError, match="too many for 5,000,000 parameters"):
        train_router(vectors, [str(number) for number in range(1600)], held_out=(vectors[:0], []))


def test_a_router_stays_under_five_million_parameters():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 384)).astype(np.float32)
    names = [str(number % 1000) for number in range(2000)]
    network = train_router(vectors, names, held_out=(vectors[:0], [])).network
    assert network.parameters < fit.MAX_PARAMETERS


def test_one_label_alone_is_refused():
    rows, _ = clusters(50, 0)
    with pytest.raises(InputError, match="rows of two labels"):
        train_router(rows, ["sql"] * 50, held_out=(rows[:0], []))


def test_routing_is_imported_without_the_router_extra():
    code = (
        "import sys, dlp_local.routing, dlp_local.training.router.fit, dlp_local.training.router.write; "
        "assert not {'sklearn', 'skl2onnx', 'onnx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_without_onnx_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'dlp-local\[router\]'"):
        train_router(*clusters(50, 0), held_out=clusters(5, 1))
