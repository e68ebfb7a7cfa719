import json

import numpy as np
import pytest
from hypothesis import strategies as st

from dlp_local.core.errors import PackError
from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE
from dlp_local.routing import MessageRouter, Router
from tests.support.prompts import PROMPTS

TASKS = ("banking", "dates", "describe", "extract", "shell", "sql")
SHARES = st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any)
DISTRIBUTIONS = SHARES.map(lambda counts: {name: n / sum(counts) for name, n in zip("abcd", counts, strict=True)})


@pytest.fixture(scope="module")
def router(bundled):
    return Router(bundled / "router.onnx", threads=1)


@pytest.fixture(scope="module")
def message_router(bundled):
    return open_message_router(bundled, bundled / "router.onnx")


def open_message_router(bundled, router):
    encoder, tokenizer = bundled / "encoder.onnx", bundled / "encoder_tokenizer.json"
    return MessageRouter(encoder, tokenizer, router, threads=1, adapters=PROMPTS)


def damaged(bundled, tmp_path, old, new):
    """The bundled router with some bytes of its file replaced by as many others."""
    content = (bundled / "router.onnx").read_bytes()
    assert len(old) == len(new)
    assert old in content
    path = tmp_path / "router.onnx"
    path.write_bytes(content.replace(old, new))
    return path


def test_the_file_names_its_labels_and_its_encoder(router):
    assert router.labels == tuple(sorted((*TASKS, BASE)))
    assert "MiniLM" in router.encoder
    assert router.dims == 512


def test_probabilities_are_one_distribution_for_each_embedding(router):
    embeddings = np.random.default_rng(0).normal(size=(5, 512)).astype(np.float32)
    probabilities = router.probabilities(embeddings)
    assert probabilities.shape == (5, len(router.labels))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert router.probabilities(embeddings[:0]).shape == (0, len(router.labels))


@pytest.mark.parametrize("shape", [(1, 10), (512,), (1, 513)])
def test_embeddings_of_another_length_are_refused(router, shape):
    with pytest.raises(PackError, match=r"trained on another encoder .*Train the router again"):
        router.probabilities(np.zeros(shape, np.float32))


def test_a_missing_router_is_named_with_the_next_step(tmp_path):
    with pytest.raises(PackError, match=r"router\.onnx: there is no such file"):
        Router(tmp_path / "router.onnx", threads=1)


@pytest.mark.parametrize("keep", [0, 50, 10_000, 300_000])
def test_a_truncated_router_is_named_with_the_next_step(bundled, tmp_path, keep):
    path = tmp_path / "router.onnx"
    path.write_bytes((bundled / "router.onnx").read_bytes()[:keep])
    with pytest.raises(PackError, match=r"router\.onnx: .*again"):
        Router(path, threads=1)


@pytest.mark.parametrize(
    ("old", "new"), [(b"\x06labels", b"\x06labelz"), (b'["banking"', b'{"banking"'), (b'"dates"', b'"shell"')]
)
def test_a_router_without_a_proper_list_of_labels_is_refused(bundled, tmp_path, old, new):
    with pytest.raises(PackError, match="no list of labels"):
        Router(damaged(bundled, tmp_path, old, new), threads=1)


def test_a_router_with_too_few_labels_is_refused(bundled, tmp_path):
    path = damaged(bundled, tmp_path, b'"banking", ', b"           ")
    with pytest.raises(PackError, match="7 probabilities for 6 labels"):
        Router(path, threads=1)


def test_another_onnx_file_is_not_taken_for_a_router(bundled):
    with pytest.raises(PackError, match=r"encoder\.onnx: not a router"):
        Router(bundled / "encoder.onnx", threads=1)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("tar: extract archive.tar.gz into /tmp", "shell"),
        ("how do I unpack foo.tar.gz with tar?", "shell"),
        ("I need a table for four on Friday at 8pm", "extract"),
        ("hello, what can you do?", BASE),
        ("to ISO: the 3rd of February 2021", "dates"),
        ("How many singers are from France?\ncolumns: name, country, age", "sql"),
        ("name[The Mill], eatType[pub], food[English], area[riverside]", "describe"),
        ("My card has not arrived yet", "banking"),
        ("tell me a joke", BASE),
    ],
)
def test_a_newcomers_message_goes_where_it_belongs(message_router, text, label):
    route = message_router.route(text, Routing())
    assert max(route.probabilities, key=route.probabilities.get) == label
    assert route.mix.as_dict()[label] > 0.5
    assert sum(route.probabilities.values()) == pytest.approx(1)
    assert json.dumps(dict(route.probabilities))
    assert route.text == text
    assert 0 < route.embed_ms < 1000
    assert 0 < route.route_ms < 1000


def test_an_encoder_of_another_size_does_not_fit(bundled, tmp_path):
    from dlp_local.training.router.fit import fit_router

    vectors = np.random.default_rng(0).normal(size=(60, 10)).astype(np.float32)
    fit_router(vectors, ["a", "b"] * 30, held_out=(vectors[:0], [])).write(tmp_path / "small.onnx", "another encoder")
    with pytest.raises(PackError, match=r"small\.onnx: takes 10 numbers, but .*encoder\.onnx gives 512"):
        open_message_router(bundled, tmp_path / "small.onnx")
