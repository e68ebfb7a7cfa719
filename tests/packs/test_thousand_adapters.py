"""A pack of a thousand adapters."""

import hashlib
import json
import os

import pytest

from dlp_local.packs import open_pack
from dlp_local.packs.adapters import (
    add_adapter,
    remove_adapter,
)
from dlp_local.packs.manifest import read_manifest
from tests.support.pack_state import adapter_of


@pytest.fixture
def thousand(mine, bundled):
    """A pack of a thousand adapters, all of them the same file under other names."""
    adapter = adapter_of(bundled, "dates")
    entries = []
    for i in range(1000):
        name = f"adapters/a{i}.gguf"
        os.link(mine / adapter_of(mine, "dates").file, mine / name)
        entries.append(
            f'[adapters.a{i}]\nfile = "{name}"\nsha256 = "{adapter.sha256}"\n'
            f'description = "the {i}th"\nexamples = ["message {i}", "another {i}"]\n'
        )
    with (mine / "pack.toml").open("a", encoding="utf-8") as manifest:
        manifest.write("\n" + "\n".join(entries))
    return mine


def test_a_pack_of_a_thousand_adapters_reads_each_file_once_and_then_none(thousand, monkeypatch):
    reads = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: (reads.append(file.name), real(file, name))[1])
    assert len(open_pack(thousand).adapter_files()) == 1006
    assert len(reads) >= 1006
    reads.clear()
    assert len(open_pack(thousand).adapter_files()) == 1006
    assert reads == []
    pack = open_pack(thousand)
    assert pack.problems(pack.manifest.files(), recall=False) == []
    assert len(reads) >= 1006


def test_an_adapter_is_added_to_a_thousand_others_and_taken_out_again(thousand, bundled):
    add_adapter(thousand, bundled / "sql.gguf", "more")
    assert len(read_manifest(thousand).adapters) == 1007
    remove_adapter(thousand, "more")
    assert len(read_manifest(thousand).adapters) == 1006
    assert json.dumps(adapter_of(thousand, "a999").examples) == '["message 999", "another 999"]'
