"""Cached hashes: a changed file is noticed, an unchanged one is not read again."""

import os

import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.paths import data_folder
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import (
    verify_pack,
)
from dlp_local.packs.locations import user_packs


def aged(path):
    """As if the file had last been changed an hour ago."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 3_600_000_000_000))


def test_a_changed_file_is_noticed_however_often_the_pack_was_opened(pack_copy):
    path = pack_copy / "sql.gguf"
    for _ in range(2):
        open_pack(pack_copy)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        open_pack(pack_copy)


def test_a_file_that_was_changed_a_moment_ago_is_not_remembered(pack_copy, monkeypatch):
    path = pack_copy / "sql.gguf"
    data = bytearray(path.read_bytes())
    path.write_bytes(data)
    stamp = path.stat()
    open_pack(pack_copy)
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the clock of the disk had not moved on
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        open_pack(pack_copy)


def test_verify_reads_what_opening_believes(pack_copy):
    path = pack_copy / "sql.gguf"
    aged(path)
    open_pack(pack_copy)
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # a disk that lost a bit says nothing of it
    pack = open_pack(pack_copy)
    assert any("sql.gguf: is damaged" in problem for problem in verify_pack(pack))
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        open_pack(pack_copy)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"x": 1', b'{"x": [1, 2]}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_of_hashes_is_done_without(pack_copy, content):
    open_pack(pack_copy)
    (memory,) = (data_folder() / "verified").iterdir()
    memory.write_bytes(content)
    assert open_pack(pack_copy).name == "bundled"


def test_without_a_data_folder_packs_open_all_the_same(pack_copy, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("DLP_LOCAL_DATA", str(blocked))
    for _ in range(2):
        assert open_pack(pack_copy).name == "bundled"
    assert user_packs() == []
