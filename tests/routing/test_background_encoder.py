"""Texts that are encoded while the caller does something else."""

import os

import numpy as np
import pytest

from dlp_local.routing.background_encoder import BackgroundEncoder
from dlp_local.routing.encoder import Encoder

TEXTS = ["tar: list notes.tar", "play some jazz", "a table for four, on Friday", "hello"]


@pytest.fixture(scope="module")
def encoder(bundled):
    return Encoder(bundled / "encoder.onnx", bundled / "encoder_tokenizer.json", threads=1)


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, len(TEXTS)])
def test_each_text_has_the_embedding_that_it_has_alone_in_order(encoder, monkeypatch, cores, count):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    background = BackgroundEncoder(encoder)
    embeddings = background.start(TEXTS[:count]).result()
    assert embeddings.shape == (count, encoder.dims)
    np.testing.assert_array_equal(background.encode(TEXTS[:count]), embeddings)
    for embedding, text in zip(embeddings, TEXTS, strict=False):
        np.testing.assert_array_equal(embedding, encoder.encode([text])[0])


def test_what_is_given_up_is_not_encoded_but_for_what_a_thread_has_begun_with(encoder, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    background, asked = BackgroundEncoder(encoder), []
    monkeypatch.setattr(encoder, "encode", lambda texts: asked.append(texts) or Encoder.encode(encoder, texts))
    background.start(TEXTS * 20).cancel()
    assert background.start(["again"]).result().shape == (1, encoder.dims)
    assert len(asked) < 10
