"""Embeddings are kept between starts, by any number of processes, and nothing fails where they cannot be."""

import multiprocessing
import os
import sqlite3
import sys
import time

import numpy as np
import pytest

from dlp_local.routing import embedding_cache
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
    return tmp_path / "folder" / "cache.sqlite"


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


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more", b"SQLite format 3\x00" + b"x" * 5000])
def test_a_damaged_file_is_made_anew(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    encode = Counting()
    for _ in range(2):
        EmbeddingCache(file, DIMS, limit=9).of(["a"], encode)
    assert encode.texts == ["a"]


def test_a_file_damaged_in_the_middle_gives_right_numbers_all_the_same(file):
    texts = [f"text {number}" for number in range(2000)]
    right = EmbeddingCache(file, DIMS).of(texts, Counting())
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 9000] = os.urandom(9000)
    file.write_bytes(content)
    for _ in range(2):
        encode = Counting()
        given = EmbeddingCache(file, DIMS).of(texts, encode)
        assert given.shape == right.shape
        assert np.isfinite(given).all()
    assert encode.texts == []


@pytest.mark.parametrize("dims", [3, 5])
def test_numbers_of_another_encoder_do_not_count(file, dims):
    EmbeddingCache(file, DIMS, limit=9).of(["a"], Counting())
    found = EmbeddingCache(file, dims, limit=9).of(["a"], lambda texts: np.ones((len(texts), dims), np.float32))
    assert found.shape == (1, dims)


@pytest.mark.parametrize(
    "vector",
    [b"short", "text", 7, np.full(DIMS, np.nan, np.float32).tobytes(), np.zeros(DIMS + 1, np.float32).tobytes()],
)
def test_a_stored_value_that_is_no_embedding_is_computed_again(file, vector):
    first = EmbeddingCache(file, DIMS).of(["a"], Counting())
    with sqlite3.connect(file) as database:
        database.execute("UPDATE embeddings SET vector = ?", (vector,))
    database.close()
    encode = Counting()
    for _ in range(2):
        np.testing.assert_array_equal(EmbeddingCache(file, DIMS).of(["a"], encode), first)
    assert encode.texts == ["a"]


def test_files_of_the_earlier_kind_are_removed(file):
    file.parent.mkdir()
    for name in ("0123456789ab.npz", "0123456789ab-rows.npz", "0123456789ab.lock"):
        (file.parent / name).write_bytes(b"earlier")
    EmbeddingCache(file, DIMS).of(["a"], Counting())
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
def test_another_programs_lock_is_waited_for_no_longer_than_a_moment(file, kind):
    cache = EmbeddingCache(file, DIMS)
    first = cache.of(["a"], Counting())
    other = sqlite3.connect(file, isolation_level=None)
    other.execute(f"BEGIN {kind}")
    began = time.monotonic()
    np.testing.assert_array_equal(cache.of(["a", "b"], Counting())[:1], first)
    assert time.monotonic() - began < 2
    other.close()


def test_a_folder_that_cannot_be_written_to_is_no_matter(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    encode = Counting()
    assert EmbeddingCache(blocked / "cache.sqlite", DIMS, limit=9).of(["a"], encode).shape == (1, DIMS)


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_no_matter(file):
    EmbeddingCache(file, DIMS, limit=9).of(["a"], Counting())
    file.parent.chmod(0o500)
    encode = Counting()
    EmbeddingCache(file, DIMS, limit=9).of(["a", "b"], encode)
    assert encode.texts == ["b"]


def _fill(file, number):
    embedding_cache.BUSY_SECONDS = 60  # a busy machine may hold the lock for longer than a user waits
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
    assert list(file.parent.iterdir()) == [file]
