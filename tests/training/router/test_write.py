"""A router's file: it gives what the training gave, and what a later training starts from."""

from collections import Counter

import numpy as np
import pytest

from dlp_local.core.errors import PackError
from dlp_local.routing import Router
from dlp_local.training.router.fit import fit_router
from dlp_local.training.router.write import read_anchors
from tests.support.clusters import LABELS, clusters
from tests.support.plain_router import write_plain_router


def test_the_onnx_file_gives_the_probabilities_and_prototypes_of_the_training(trained, exported):
    rows, _ = clusters(200, 2)
    probabilities, similarities = Router(exported, threads=1).with_similarities(rows)
    np.testing.assert_allclose(probabilities, trained.probabilities(rows), atol=1e-5)
    np.testing.assert_allclose(similarities, trained.prototypes.similarities(rows), atol=1e-5)


def test_a_small_file_is_smaller_gives_almost_the_same_and_has_the_same_anchors(trained, exported, tmp_path):
    rows, _ = clusters(200, 2)
    small = tmp_path / "small.onnx"
    trained.write(small, "a test encoder", is_small=True)
    assert small.stat().st_size < 0.7 * exported.stat().st_size
    probabilities, similarities = Router(small, threads=1).with_similarities(rows)
    np.testing.assert_allclose(probabilities, trained.probabilities(rows), atol=0.01)
    np.testing.assert_allclose(similarities, trained.prototypes.similarities(rows), atol=1e-3)
    anchors, owners = read_anchors(small)
    assert owners == read_anchors(exported)[1]
    np.testing.assert_allclose(anchors, read_anchors(exported)[0], atol=0.5 / 127)


@pytest.mark.parametrize("dims", [3, 16, 40, 384, 512])
def test_a_small_file_of_any_length_of_embeddings_gives_almost_the_same(tmp_path, dims):
    rng = np.random.default_rng(dims)
    rows = rng.normal(size=(60, dims)).astype(np.float32) + 2 * np.repeat(np.eye(3, dims, dtype=np.float32), 20, axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    trained = fit_router(rows, [name for name in LABELS[:3] for _ in range(20)], held_out=(rows[:0], []))
    trained.write(tmp_path / "router.onnx", "an encoder")
    trained.write(tmp_path / "small.onnx", "an encoder", is_small=True)
    whole, small = (Router(tmp_path / name, threads=1) for name in ("router.onnx", "small.onnx"))
    np.testing.assert_allclose(small.probabilities(rows), whole.probabilities(rows), atol=0.05)
    np.testing.assert_allclose(
        read_anchors(tmp_path / "small.onnx")[0], read_anchors(tmp_path / "router.onnx")[0], atol=0.5 / 127
    )
    assert small.probabilities(rows[:0]).shape == (0, 3)


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
    counts = Counter(owners)
    assert min(counts.values()) > 10
    again = fit_router(anchors, owners, held_out=(anchors[:0], []), rehearsed=counts)
    kept = Counter(again.labels[owner] for owner in again.network.shares.argmax(axis=1))
    assert all(kept[label] > 0.9 * counts[label] for label in LABELS)


def test_a_router_made_elsewhere_keeps_no_anchors_and_a_damaged_one_is_told(tmp_path, exported):
    (tmp_path / "cut.onnx").write_bytes(exported.read_bytes()[:1000])
    with pytest.raises(PackError, match=r"cut\.onnx: not a usable router"):
        read_anchors(tmp_path / "cut.onnx")
    elsewhere = write_plain_router(tmp_path / "elsewhere.onnx", LABELS)
    assert not Router(elsewhere, threads=1).has_prototypes
    assert read_anchors(elsewhere)[1] == ()
