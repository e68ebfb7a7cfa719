"""What a reference to the hub gives, also offline."""

import hashlib
import json

import pytest

from dlp_local.core.errors import HubError, PackError
from dlp_local.core.paths import downloads_folder
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.fetch import fetch
from tests.support.hub_server import COMMIT, MODEL, Repo, Told, parts


def test_a_backbone_is_fetched_with_its_commit_license_size_and_hash(hub, model):
    told = Told()
    fetched = fetch(MODEL, progress=told)
    assert fetched.kind == "backbone"
    assert fetched.path.read_bytes() == model
    assert fetched.revision == COMMIT
    assert fetched.license == "apache-2.0"
    assert fetched.size == len(model)
    assert fetched.files[0].sha256 == hashlib.sha256(model).hexdigest()
    assert fetched.source == f"hf:ana/model-GGUF@{COMMIT}"
    assert told.positions[0] == 0
    assert told.positions == sorted(told.positions)
    assert told.positions[-1] == len(model)
    assert not parts()


def test_what_is_there_is_not_fetched_again(hub, model):
    first = fetch(MODEL)
    assert fetch(parse_reference("hf:ana/model-GGUF:model-Q4_0.gguf")).path == first.path
    assert len(hub.asked("/cdn/")) == 1


def test_a_file_that_was_changed_on_the_disk_is_fetched_again(hub, model):
    path = fetch(MODEL).path
    path.write_bytes(b"x" * len(model))
    assert fetch(MODEL).path.read_bytes() == model


def test_gguf_adapters_are_told_from_backbones_by_their_header(hub, bundled):
    hub.repos["ana/lora"] = Repo({"sql.gguf": (bundled / "sql.gguf").read_bytes()})
    assert fetch(parse_reference("hf:ana/lora")).kind == "adapter"


def test_a_peft_adapter_is_its_two_files_and_nothing_else(hub):
    header = json.dumps({"w": {"dtype": "F32", "shape": [500], "data_offsets": [0, 2000]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + b"\0" * 2000
    config = b'{"peft_type": "LORA"}'
    files = {"adapter_config.json": config, "adapter_model.safetensors": weights, "training_args.bin": b"pickle" * 900}
    hub.repos["ana/peft"] = Repo({f"sub/{name}": content for name, content in files.items()})
    fetched = fetch(parse_reference("hf:ana/peft:sub"))
    assert fetched.kind == "peft"
    assert {path.name for path in fetched.path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert not hub.asked("training_args")


def test_a_pickle_that_is_called_safetensors_is_deleted(hub):
    pickle = b"\x80\x04\x95" + b"\0" * 2000
    hub.repos["ana/peft"] = Repo({"adapter_config.json": b"{}", "adapter_model.safetensors": pickle})
    with pytest.raises(PackError, match=r"adapter_model\.safetensors: is a pickle"):
        fetch(parse_reference("hf:ana/peft"))
    assert not list(downloads_folder().rglob("*.safetensors"))


def test_a_file_that_is_no_gguf_is_deleted(hub):
    hub.repos["ana/model-GGUF"] = Repo({"model-Q4_0.gguf": b"<html>" * 1000})
    with pytest.raises(PackError, match="is a web page"):
        fetch(MODEL)
    assert not list(downloads_folder().rglob("*.gguf"))


def test_offline_gives_what_was_fetched_and_asks_nobody(hub, model, monkeypatch):
    first = fetch(MODEL)
    asked = len(hub.seen)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(MODEL) == first
    with pytest.raises(HubError, match=r"hf:ana/other: is not on this machine, and HF_HUB_OFFLINE is set"):
        fetch(parse_reference("hf:ana/other"))
    assert len(hub.seen) == asked


def test_offline_a_damaged_or_missing_file_is_not_given(hub, model, monkeypatch):
    path = fetch(MODEL).path
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path.write_bytes(b"x" * len(model))
    with pytest.raises(HubError, match="is not on this machine"):
        fetch(MODEL)
    path.unlink()
    with pytest.raises(HubError, match="is not on this machine"):
        fetch(MODEL)


@pytest.mark.parametrize("record", [b"", b"[]", b'{"files": 1}', b"\xff", b'{"files": []}'])
def test_offline_a_damaged_record_is_as_none(hub, model, record, monkeypatch):
    fetch(MODEL)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (path,) = downloads_folder().rglob("*.json")
    path.write_bytes(record)
    with pytest.raises(HubError, match="is not on this machine"):
        fetch(MODEL)


@pytest.mark.parametrize("name", ["../escape.gguf", "/etc/passwd", "a/../../b.gguf", "C:\\b.gguf"])
def test_a_repository_cannot_write_outside_its_folder(hub, model, name, tmp_path):
    hub.repos["ana/model-GGUF"].files = {name: model}
    with pytest.raises(PackError, match="holds no GGUF file"):
        fetch(MODEL)


def test_the_record_of_a_pull_says_where_it_came_from(hub, model):
    fetch(MODEL)
    (path,) = downloads_folder().rglob("*.json")
    record = json.loads(path.read_text())
    assert record["revision"] == COMMIT
    assert record["license"] == "apache-2.0"
    assert str(downloads_folder()) not in path.read_text()
