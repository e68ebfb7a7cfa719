"""Packs of a repository: complete and verified in the packs folder, or not there."""

import pytest

from dlp_local.core.errors import HubError, PackError
from dlp_local.core.paths import downloads_folder, packs_folder
from dlp_local.hub.choice import Reference, RepoFile, parse_reference
from dlp_local.packs import open_pack
from dlp_local.packs.fetch import fetch
from dlp_local.packs.install import pack_files
from dlp_local.packs.locations import user_packs
from dlp_local.packs.manifest import read_manifest
from tests.support.hub_server import Answer, Repo


@pytest.fixture
def pack(hub, bundled):
    files = {path.name: path.read_bytes() for path in bundled.iterdir()}
    files["pack.toml"] = files["pack.toml"].replace(b'name = "bundled"', b'name = "ana"')
    hub.repos["ana/pack"] = Repo(files)
    return parse_reference("hf:ana/pack")


def test_a_whole_pack_is_fetched_verified_and_put_in_its_place(hub, pack):
    fetched = fetch(pack)
    assert fetched.kind == "pack"
    assert fetched.path == packs_folder() / "ana"
    assert open_pack(fetched.path).name == "ana"
    assert not hub.asked("MODEL_CARD")
    assert user_packs() == [fetched.path]
    assert not list(downloads_folder().rglob("*.gguf"))


def test_a_pack_in_a_folder_of_a_repository_is_fetched_too(hub, pack):
    hub.repos["ana/packs"] = Repo({f"small/{name}": data for name, data in hub.repos["ana/pack"].files.items()})
    fetched = fetch(parse_reference("hf:ana/packs:small"))
    assert open_pack(fetched.path).name == "ana"


def test_a_pack_with_another_hash_than_its_manifest_promises_is_refused_before_it_is_fetched(hub, pack):
    hub.repos["ana/pack"].files["sql.gguf"] += b"x"
    del hub.repos["ana/pack"].files["dates.gguf"]
    with pytest.raises(PackError, match=r"(?s)dates\.gguf: is not in the repository.*sql\.gguf: has another sha256"):
        fetch(pack)
    assert len(hub.asked("/cdn/")) == 1
    assert not packs_folder().exists()


def test_a_pack_that_was_cut_is_not_in_its_place_and_is_gone_on_with(hub, pack):
    hub.faults["encoder.onnx"] = [Answer(cut_after=100_000)] + [Answer(cut_after=0)] * 9
    with pytest.raises(HubError, match="times in a row"):
        fetch(pack)
    assert not packs_folder().exists()
    hub.faults.clear()
    before = len(hub.asked("/cdn/"))
    assert open_pack(fetch(pack).path).name == "ana"
    assert len(hub.asked("encoder_tokenizer.json")) <= 2
    assert len(hub.asked("/cdn/")) - before < len(hub.repos["ana/pack"].files)


def test_a_pack_that_is_there_is_not_fetched_again_and_mended_where_it_is_damaged(hub, pack):
    path = fetch(pack).path
    before = len(hub.asked("sql.gguf"))
    fetch(pack)
    assert len(hub.asked("sql.gguf")) == before
    (path / "sql.gguf").write_bytes(b"damaged")
    assert open_pack(fetch(pack).path).name == "ana"


def test_a_pack_never_takes_the_place_of_another_one(hub, pack):
    other = packs_folder() / "ana"
    other.mkdir(parents=True)
    (other / "pack.toml").write_text("mine")
    with pytest.raises(
        PackError, match=r"there is another pack called 'ana'. Remove it first: dlp-local pack remove ana"
    ):
        fetch(pack)
    assert (other / "pack.toml").read_text() == "mine"


def test_a_pack_cannot_be_called_as_the_bundled_one(hub, pack):
    files = hub.repos["ana/pack"].files
    files["pack.toml"] = files["pack.toml"].replace(b'name = "ana"', b'name = "bundled"')
    with pytest.raises(PackError, match="is called 'bundled'"):
        fetch(pack)


def test_offline_a_pack_that_was_fetched_is_given_as_long_as_it_is_whole(hub, pack, monkeypatch):
    first = fetch(pack)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(hub.seen)
    assert fetch(pack) == first
    assert len(hub.seen) == asked
    (first.path / "sql.gguf").write_bytes(b"damaged")
    with pytest.raises(HubError, match="hf:ana/pack: is not on this machine"):
        fetch(pack)


def test_a_pack_is_the_files_that_its_manifest_names(bundled):
    manifest = read_manifest(bundled)
    listed = [RepoFile(f"x/{part.file}", 9, part.sha256) for part in manifest.files()]
    other = RepoFile("x/other.gguf", 9, "f" * 64)
    assert pack_files(Reference("a/b"), [*listed, other], "x/", manifest) == listed


def test_a_pack_that_names_a_pickle_is_refused(bundled):
    manifest = read_manifest(bundled)
    pickled = manifest.backbone.model_copy(update={"file": "backbone.bin"})
    manifest = manifest.model_copy(update={"backbone": pickled})
    listed = [RepoFile(part.file, 9, part.sha256) for part in manifest.files()]
    with pytest.raises(PackError, match=r"backbone\.bin: is a pickle"):
        pack_files(Reference("a/b"), listed, "", manifest)
