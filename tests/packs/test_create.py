"""Making and removing packs."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.paths import data_folder
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import (
    add_adapter,
    verify_pack,
)
from dlp_local.packs.clone import FICLONE
from dlp_local.packs.create import copy_pack, remove_pack, start_pack
from dlp_local.packs.locations import user_packs
from dlp_local.packs.manifest import read_manifest
from tests.support.hub_server import Told
from tests.support.pack_state import pack_state


def test_a_copied_pack_is_whole_and_takes_no_room_for_files_of_its_own(mine, bundled):
    pack = open_pack(mine)
    assert pack.name == "mine"
    assert verify_pack(pack) == []
    assert [file.sha256 for file in pack.manifest.files()] == [
        file.sha256 for file in open_pack(bundled).manifest.files()
    ]
    if bundled.stat().st_dev == mine.stat().st_dev:
        assert (mine / "backbone.gguf").samefile(bundled / "backbone.gguf")


def test_a_copy_is_made_where_the_disk_has_no_links(bundled, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    folder = copy_pack("mine", bundled)
    assert not (folder / "backbone.gguf").samefile(bundled / "backbone.gguf")
    assert verify_pack(open_pack(folder)) == []


def test_a_pack_starts_from_a_backbone_alone_and_takes_its_settings(bundled):
    about = {"description": "A test", "context": 512, "stop": ["\n\n"], "license": "MIT"}
    pack = open_pack(start_pack("fresh", bundled / "backbone.gguf", about))
    backbone = pack.manifest.backbone
    assert (backbone.context, backbone.stop, backbone.license) == (512, ("\n\n",), "MIT")
    assert pack.manifest.description == "A test"
    assert pack.manifest.router is None
    assert pack.manifest.adapters == {}
    assert verify_pack(pack) == []
    add_adapter(pack.folder, bundled / "sql.gguf", "sql")
    assert list(read_manifest(pack.folder).adapters) == ["sql"]


@pytest.mark.parametrize("file", ["sql.gguf", "encoder.onnx", "none.gguf"])
def test_what_is_no_language_model_starts_no_pack(bundled, file):
    with pytest.raises((InputError, PackError), match=file):
        start_pack("fresh", bundled / file)
    assert user_packs() == []


@pytest.mark.parametrize("name", ["Mine", "../mine", "", "a/b", "bundled", ".hidden", "a" * 65, "mine\n"])
def test_a_name_that_is_none_makes_no_pack(bundled, name):
    with pytest.raises(InputError, match="name"):
        copy_pack(name, bundled)
    assert user_packs() == []


def test_a_name_that_is_taken_is_refused_and_that_pack_stays(mine, bundled):
    before = pack_state(mine)
    with pytest.raises(InputError, match="there is a pack 'mine' already"):
        copy_pack("mine", bundled)
    assert pack_state(mine) == before


def test_a_damaged_pack_is_not_copied(pack_copy):
    (pack_copy / "sql.gguf").write_bytes(b"other")
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        copy_pack("mine", pack_copy)
    assert list((data_folder() / "packs").glob("[!.]*")) == []


def test_a_pack_is_removed_with_everything_and_the_bundled_one_stays(mine):
    remembered = data_folder() / "verified"
    before = set(remembered.iterdir())
    open_pack(mine)
    assert set(remembered.iterdir()) > before
    remove_pack("mine")
    assert not mine.exists()
    assert set(remembered.iterdir()) == before
    with pytest.raises(InputError, match="no pack 'mine'"):
        remove_pack("mine")
    with pytest.raises(InputError, match="stays"):
        remove_pack("bundled")


def test_what_a_cut_left_of_a_pack_goes_with_the_next_one(bundled):
    left = data_folder() / "packs" / ".making-mine"
    left.mkdir(parents=True)
    (left / "backbone.gguf").write_bytes(b"half")
    copy_pack("mine", bundled)
    assert [folder.name for folder in user_packs()] == ["mine"]
    assert not left.exists()


# ---- the backbone is the pack's own ----


@pytest.fixture
def own_file(bundled, tmp_path):
    """A backbone that is the user's own file."""
    return Path(shutil.copyfile(bundled / "backbone.gguf", tmp_path / "own.gguf"))


def overwrite(path):
    """Changes a file without giving it another inode, as `cat other >file` does."""
    with path.open("r+b") as file:
        file.write(b"another model")


def test_what_happens_to_the_users_file_does_not_reach_the_pack(own_file):
    folder = start_pack("fresh", own_file)
    assert not (folder / "backbone.gguf").samefile(own_file)
    overwrite(own_file)
    assert verify_pack(open_pack(folder)) == []


def test_what_happens_to_a_copied_pack_does_not_reach_the_copy(pack_copy):
    folder = copy_pack("mine", pack_copy)
    overwrite(pack_copy / "backbone.gguf")
    overwrite(pack_copy / "sql.gguf")
    assert verify_pack(open_pack(folder)) == []


def test_bringing_a_backbone_in_tells_how_far_it_is(own_file):
    told = Told()
    start_pack("fresh", own_file, progress=told)
    assert told.positions == sorted(told.positions)
    assert told.positions[-1] == own_file.stat().st_size


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="FICLONE is Linux's")
def test_a_file_system_that_clones_files_is_asked_to(own_file, monkeypatch):
    import fcntl

    requests = []

    def ioctl(target, request, source):
        requests.append(request)
        os.sendfile(target, source, 0, own_file.stat().st_size)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert verify_pack(open_pack(start_pack("fresh", own_file))) == []
    assert requests == [FICLONE]


def test_a_backbone_used_in_place_is_named_with_its_hash_and_takes_no_room(own_file):
    folder = start_pack("fresh", own_file, in_place=True)
    pack = open_pack(folder)
    assert pack.backbone_path.samefile(own_file)
    assert pack.manifest.backbone.path == str(own_file.resolve())
    assert not list(folder.glob("*.gguf"))
    assert verify_pack(pack) == []
    copy = copy_pack("copy", folder)
    assert open_pack(copy).backbone_path.samefile(own_file)


def test_a_backbone_in_place_that_was_changed_or_is_gone_is_told(own_file):
    folder = start_pack("fresh", own_file, in_place=True)
    overwrite(own_file)
    with pytest.raises(PackError, match=r"own\.gguf: is damaged or was changed.*used in place: put it back"):
        open_pack(folder)
    own_file.unlink()
    with pytest.raises(PackError, match=r"own\.gguf, is no longer there\. Put it back"):
        open_pack(folder)


@pytest.mark.parametrize("source", ["hf:ana/model", "lfm2-350m"])
def test_what_is_fetched_cannot_be_used_in_place(source):
    with pytest.raises(InputError, match=f"{source}: is fetched, .*Leave --in-place out"):
        start_pack("fresh", source, in_place=True)


def test_a_folder_with_one_model_is_that_model_also_in_place(own_file):
    for beside in ("mmproj-F16.gguf", "README.md"):
        (own_file.parent / beside).write_bytes(b"x")
    folder = start_pack("fresh", own_file.parent, in_place=True)
    assert open_pack(folder).manifest.backbone.path == str(own_file.resolve())


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), r"holds no GGUF file\. Name the file of a model"),
        (("one-Q4_0.gguf", "two.GGUF"), r"holds several GGUF files\. Name one of them: one-Q4_0\.gguf, two\.GGUF\."),
        (("config.json", "model.safetensors"), r"whole model, which is not GGUF.*convert_hf_to_gguf\.py.*--backbone"),
        (("adapter_config.json",), "holds an adapter, and a backbone is wanted.*adapters add"),
    ],
)
def test_a_folder_of_another_kind_is_told_what_it_is(tmp_path, in_place, names, told):
    (tmp_path / "folder").mkdir()
    for name in names:
        (tmp_path / "folder" / name).write_bytes(b"")
    with pytest.raises(InputError, match=f"folder: .*{told}"):
        start_pack("fresh", tmp_path / "folder", in_place=in_place)


def test_a_missing_file_is_told_as_missing_in_place_too(tmp_path):
    with pytest.raises(InputError, match=r"none\.gguf: cannot be read \(No such file"):
        start_pack("fresh", tmp_path / "none.gguf", in_place=True)
