"""Embeddings are kept between starts, by any number of processes, and nothing fails where they cannot be."""

import multiprocessing
import os
import sys

import numpy as np
import pytest

from dlp_local.routing.embedding_cache import EmbeddingCache

DIMS = 4


class Counting:
    """Embeds a text as numbers made of it, and counts."""

    def __init__(self):
        self.texts = []

    def __call__(self, texts):
        self.texts += texts
        return np.array([[len(text), hash(text[:1]) % 7, 1, 2] for text in texts], np.float32)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / "cache.npz"


def test_a_text_is_embedded_once(file):
    encode = Counting()
    cache = EmbeddingCache(file, DIMS, limit=100)
    first = cache.of(["a", "bb", "a"], encode)
    again = EmbeddingCache(file, DIMS, limit=100).of(["bb", "a", "ccc"], encode)
    assert encode.texts == ["a", "bb", "ccc"]
    np.testing.assert_array_equal(first[[1, 0]], again[:2])
    assert cache.of([], encode).shape == (0, DIMS)


def test_texts_are_not_in_the_file(file):
    EmbeddingCache(file, DIMS, limit=100).of(["a secret message"], Counting())
    assert b"secret" not in file.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_the_file_is_readable_by_its_owner_alone(file):
    EmbeddingCache(file, DIMS, limit=100).of(["a"], Counting())
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_oldest_go_where_there_are_too_many(file):
    encode = Counting()
    cache = EmbeddingCache(file, DIMS, limit=3)
    cache.of(["a", "b", "c"], encode)
    cache.of(["d"], encode)
    encode.texts.clear()
    cache.of(["b", "c", "d"], encode)
    assert encode.texts == []
    cache.of(["a"], encode)
    assert encode.texts == ["a"]


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more"])
def test_a_damaged_file_is_made_anew(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    encode = Counting()
    for _ in range(2):
        EmbeddingCache(file, DIMS, limit=9).of(["a"], encode)
    assert encode.texts == ["a"]


@pytest.mark.parametrize("dims", [3, 5])
def test_numbers_of_another_encoder_do_not_count(file, dims):
    EmbeddingCache(file, DIMS, limit=9).of(["a"], Counting())
    found = EmbeddingCache(file, dims, limit=9).of(["a"], lambda texts: np.ones((len(texts), dims), np.float32))
    assert found.shape == (1, dims)


def test_pickles_and_numbers_that_are_none_are_not_read(file):
    file.parent.mkdir()
    np.savez(file, keys=np.array(["x"]), vectors=np.array([{"a": 1}], dtype=object))
    encode = Counting()
    assert EmbeddingCache(file, DIMS, limit=9).of(["a"], encode).shape == (1, DIMS)
    kept = dict(np.load(file))
    np.savez(file, keys=kept["keys"], vectors=np.full_like(kept["vectors"], np.nan))
    assert np.isfinite(EmbeddingCache(file, DIMS, limit=9).of(["a"], encode)).all()


def test_a_folder_that_cannot_be_written_to_is_no_matter(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    encode = Counting()
    assert EmbeddingCache(blocked / "cache.npz", DIMS, limit=9).of(["a"], encode).shape == (1, DIMS)


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_no_matter(file):
    EmbeddingCache(file, DIMS, limit=9).of(["a"], Counting())
    file.parent.chmod(0o500)
    encode = Counting()
    EmbeddingCache(file, DIMS, limit=9).of(["a", "b"], encode)
    assert encode.texts == ["b"]


def _fill(file, number):
    cache = EmbeddingCache(file, DIMS, limit=1000)
    for step in range(20):
        cache.of([f"{number} {step}"], Counting())


def test_two_processes_lose_nothing_of_each_other(file):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(file, number)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    encode = Counting()
    EmbeddingCache(file, DIMS, limit=1000).of([f"{n} {step}" for n in range(2) for step in range(20)], encode)
    assert encode.texts == []
    assert sorted(path.suffix for path in file.parent.iterdir()) in ([".lock", ".npz"], [".npz"])
