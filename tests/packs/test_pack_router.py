"""The router of a pack: put in place, taken back, never left half."""

from pathlib import Path

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.values import BASE, AdapterChange
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter
from dlp_local.packs.create import start_pack
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.router import place_router, rollback_router
from tests.support.pack_state import pack_state
from tests.support.prompts import FRENCH, PROMPTS
from tests.support.router_rows import open_pack_router, top


@pytest.fixture
def another_router(bundled, tmp_path) -> Path:
    """The bundled router as another file: with an empty name of its producer at the end."""
    path = tmp_path / "another.onnx"
    path.write_bytes((bundled / "router.onnx").read_bytes() + b"\x12\x00")
    return path


def test_a_rollback_goes_back_and_forth(mine, another_router):
    with pytest.raises(InputError, match="no router before"):
        rollback_router(mine)
    first = read_manifest(mine).router.sha256
    place_router(mine, another_router, read_manifest(mine), "a test")
    second = read_manifest(mine).router.sha256
    assert rollback_router(mine)
    assert read_manifest(mine).router.sha256 == first
    assert top(open_pack_router(mine), "gzip: compress a file") == "shell"
    assert rollback_router(mine)
    assert read_manifest(mine).router.sha256 == second
    open_pack(mine)


def test_a_pack_without_a_router_goes_back_to_examples_alone(bundled, mine, tmp_path):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    (tmp_path / "french.txt").write_text("\n".join(FRENCH))
    add_adapter(folder, bundled / "sql.gguf", "french", AdapterChange(examples=tmp_path / "french.txt"))
    place_router(folder, bundled / "router.onnx", read_manifest(folder), "a test")
    assert open_pack_router(folder).labels[:7] == tuple(sorted((*PROMPTS, BASE)))
    assert not rollback_router(folder)
    assert open_pack_router(folder).labels == ("french", BASE)
    assert rollback_router(folder)
    assert len(open_pack_router(folder).labels) == 8


def test_a_damaged_router_before_does_not_keep_the_pack_from_opening(mine, another_router):
    place_router(mine, another_router, read_manifest(mine), "a test")
    (mine / read_manifest(mine).router_before.file).unlink()
    open_pack(mine)


def test_the_router_of_another_training_in_between_is_not_overwritten(mine, another_router, bundled):
    seen = read_manifest(mine)
    place_router(mine, another_router, seen, "first")
    before = pack_state(mine)
    with pytest.raises(InputError, match="has another router since this one was begun"):
        place_router(mine, bundled / "router.onnx", seen, "second")
    assert pack_state(mine) == before


def test_the_very_same_router_once_more_leaves_the_one_before(mine, another_router):
    first = read_manifest(mine).router
    for _ in range(2):
        place_router(mine, another_router, read_manifest(mine), "a test")
        assert read_manifest(mine).router_before.sha256 == first.sha256
    assert rollback_router(mine)
    assert read_manifest(mine).router.sha256 == first.sha256


def test_a_damaged_router_before_is_not_brought_back(mine, another_router):
    place_router(mine, another_router, read_manifest(mine), "a test")
    (mine / "router.onnx").unlink()
    before = pack_state(mine)
    with pytest.raises(PackError, match=r"router\.onnx: cannot be read .* the router stays as it is"):
        rollback_router(mine)
    assert pack_state(mine) == before


def test_a_router_that_was_put_in_by_force_is_taken_back_and_never_put_back(mine, another_router, bundled, tmp_path):
    first = read_manifest(mine).router.sha256
    place_router(mine, another_router, read_manifest(mine), "a test", forced=True)
    assert read_manifest(mine).router.forced
    third = tmp_path / "third.onnx"
    third.write_bytes((bundled / "router.onnx").read_bytes() + b"\x12\x00\x12\x00")
    place_router(mine, third, read_manifest(mine), "a test")
    assert read_manifest(mine).router_before.sha256 == first
    place_router(mine, another_router, read_manifest(mine), "a test", forced=True)
    assert rollback_router(mine)
    assert not read_manifest(mine).router.forced
    assert read_manifest(mine).router.sha256 != first
    assert read_manifest(mine).router_before is None
    open_pack(mine)
    with pytest.raises(InputError, match="no router before"):
        rollback_router(mine)


def test_a_forced_first_router_goes_back_to_examples_alone_also_after_another_one(bundled, mine, another_router):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    place_router(folder, another_router, read_manifest(folder), "a test", forced=True)
    place_router(folder, bundled / "router.onnx", read_manifest(folder), "a test")
    assert read_manifest(folder).router_before is None
    assert not rollback_router(folder)
    assert read_manifest(folder).router is None
    assert rollback_router(folder)
    assert not rollback_router(folder)
