"""Pulling from a hub over real HTTP: cuts, wrong hashes, slow links, refusals, whole packs."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from dlp_local.core.errors import HubError, PackError
from dlp_local.core.paths import downloads_folder, packs_folder
from dlp_local.hub import client, download
from dlp_local.packs import open_pack
from dlp_local.packs.install import fetch, parse_reference
from dlp_local.packs.locations import user_packs
from tests.support import hub_server
from tests.support.hub_server import COMMIT, Answer, Repo

REFERENCE = parse_reference("hf:ana/model-GGUF")


class Told:
    def __init__(self):
        self.positions = []
        self.notes = []

    def at(self, file, done):
        self.positions.append(done)

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def waits(monkeypatch):
    """Waits are noted, not waited."""
    found = []
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.fixture
def hub(monkeypatch, waits):
    with hub_server.running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def model(hub, bundled):
    """The bundled backbone in a repository of its own."""
    content = (bundled / "backbone.gguf").read_bytes()
    hub.repos["ana/model-GGUF"] = Repo({"model-Q4_0.gguf": content, "README.md": b"# Model"})
    return content


@pytest.fixture
def pack(hub, bundled):
    files = {path.name: path.read_bytes() for path in bundled.iterdir()}
    files["pack.toml"] = files["pack.toml"].replace(b'name = "bundled"', b'name = "ana"')
    hub.repos["ana/pack"] = Repo(files)
    return parse_reference("hf:ana/pack")


def parts():
    return list((downloads_folder() / "parts").iterdir())


def test_a_backbone_is_fetched_with_its_commit_license_size_and_hash(hub, model):
    told = Told()
    fetched = fetch(REFERENCE, progress=told)
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
    first = fetch(REFERENCE)
    assert fetch(parse_reference("hf:ana/model-GGUF:model-Q4_0.gguf")).path == first.path
    assert len(hub.asked("/cdn/")) == 1


def test_a_file_that_was_changed_on_the_disk_is_fetched_again(hub, model):
    path = fetch(REFERENCE).path
    path.write_bytes(b"x" * len(model))
    assert fetch(REFERENCE).path.read_bytes() == model


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
    with pytest.raises(PackError, match=r"adapter_model\.safetensors: is no sound safetensors file"):
        fetch(parse_reference("hf:ana/peft"))
    assert not list(downloads_folder().rglob("*.safetensors"))


def test_a_file_that_is_no_gguf_is_deleted(hub):
    hub.repos["ana/model-GGUF"] = Repo({"model-Q4_0.gguf": b"<html>" * 1000})
    with pytest.raises(PackError, match="is not a GGUF file"):
        fetch(REFERENCE)
    assert not list(downloads_folder().rglob("*.gguf"))


# ---- cuts ----


def test_a_cut_connection_goes_on_where_it_was(hub, model, waits):
    hub.faults["model-Q4_0.gguf"] = [Answer(cut_after=1_000_000), Answer(cut_after=2_000_000)]
    told = Told()
    assert fetch(REFERENCE, progress=told).path.read_bytes() == model
    starts = [int(seen.headers["range"].removeprefix("bytes=")[:-1]) for seen in hub.asked("/cdn/")[1:]]
    assert len(starts) == 2
    assert 900_000 < starts[0] <= 1_000_000
    assert 2_900_000 - 65_536 < starts[1] <= 3_000_000
    assert waits == [1.0, 1.0]
    assert "trying again in 1 s" in told.notes[0]


def test_a_connection_that_never_holds_is_given_up_and_the_next_pull_goes_on(hub, model, waits):
    hub.faults["model-Q4_0.gguf"] = [Answer(cut_after=1_000_000), *[Answer(cut_after=0)] * 9]
    with pytest.raises(HubError, match=r"(?s)times in a row. Check the connection and pull again: it goes on"):
        fetch(REFERENCE)
    assert waits == [1.0, 2.0, 4.0]
    (part,) = parts()
    kept = part.stat().st_size
    assert 900_000 < kept <= 1_000_000
    hub.faults.clear()
    assert fetch(REFERENCE).path.read_bytes() == model
    assert hub.asked("/cdn/")[-1].headers["range"] == f"bytes={kept}-"


def test_a_server_that_cannot_go_on_in_the_middle_starts_again(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(cut_after=1_000_000), Answer(ignore_range=True)]
    assert fetch(REFERENCE).path.read_bytes() == model


def test_a_part_that_is_longer_than_the_file_is_begun_anew(hub, model):
    folder = downloads_folder() / "parts"
    folder.mkdir(parents=True)
    (folder / hashlib.sha256(model).hexdigest()).write_bytes(b"x" * (len(model) + 7))
    assert fetch(REFERENCE).path.read_bytes() == model


def test_the_part_of_a_killed_pull_is_gone_on_with(hub, model, monkeypatch):
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.05)]
    code = (
        "from dlp_local.packs.install import fetch, parse_reference\n"
        "class Told:\n"
        "    def at(self, file, done): print(done, flush=True)\n"
        "    def note(self, text): pass\n"
        "fetch(parse_reference('hf:ana/model-GGUF'), progress=Told())\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ)
    while int(child.stdout.readline()) < 1_000_000:
        pass
    child.kill()
    child.wait()
    (part,) = parts()
    assert 0 < part.stat().st_size < len(model)
    assert fetch(REFERENCE).path.read_bytes() == model
    assert hub.asked("/cdn/")[-1].headers["range"].startswith("bytes=")


def test_two_pulls_do_not_write_to_the_same_part(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.02)]
    begun = threading.Event()

    class Begun(Told):
        def at(self, file, done):
            begun.set()

    first = threading.Thread(target=fetch, args=(REFERENCE,), kwargs={"progress": Begun()})
    first.start()
    assert begun.wait(20)
    with pytest.raises(HubError, match="another pull is running"):
        fetch(REFERENCE)
    first.join()


def test_a_link_that_stands_still_is_cut_and_goes_on(hub, model, monkeypatch):
    monkeypatch.setattr(client, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=1.0)]
    told = Told()
    assert fetch(REFERENCE, progress=told).path.read_bytes() == model
    assert "failed" in told.notes[0]


def test_a_slow_link_that_keeps_coming_is_waited_for(hub, model, waits, monkeypatch):
    monkeypatch.setattr(client, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.01)]
    fetch(REFERENCE)
    assert waits == []


# ---- hashes ----


def test_a_wrong_hash_deletes_what_came_and_says_so(hub, model):
    wrong = bytearray(model)
    wrong[-1] ^= 1
    hub.faults["model-Q4_0.gguf"] = [Answer(content=bytes(wrong))]
    with pytest.raises(HubError, match=r"model-Q4_0\.gguf is not what the hub promises \(another hash\); .* deleted"):
        fetch(REFERENCE)
    assert not parts()
    assert not list(downloads_folder().rglob("*.gguf"))
    assert fetch(REFERENCE).path.read_bytes() == model


def test_a_wrong_hash_of_a_small_file_is_noticed_too(hub, pack):
    manifest = hub.repos["ana/pack"].files["pack.toml"]
    assert len(manifest) >= hub_server.LARGE
    hub.repos["ana/peft"] = Repo({"adapter_config.json": b'{"r": 8}', "adapter_model.safetensors": b"\0" * 2000})
    hub.faults["adapter_config.json"] = [Answer(content=b'{"r": 9}')]
    with pytest.raises(HubError, match=r"adapter_config\.json is not what the hub promises"):
        fetch(parse_reference("hf:ana/peft"))


def test_more_bytes_than_promised_do_not_fill_the_disk(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(content=model + b"x" * 5_000_000)]
    assert fetch(REFERENCE).path.read_bytes() == model


# ---- refusals ----


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("hf:nobody/nothing", r"no such repository, or it is private.*HF_TOKEN"),
        ("hf:ana/model-GGUF@v9", "has no revision 'v9'"),
        ("hf:ana/model-GGUF:other.gguf", r"no such file\. There are:\n  model-Q4_0\.gguf  \d+ MB"),
        ("hf:ana/model-GGUF:README.md", "is neither a GGUF file, nor an adapter, nor a pack"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(hub, model, reference, told):
    with pytest.raises((HubError, PackError), match=told) as caught:
        fetch(parse_reference(reference))
    assert caught.value.exit_code != 0


def test_a_gated_repository_says_where_to_ask_and_a_token_opens_it(hub, model, monkeypatch):
    hub.repos["ana/model-GGUF"].gated = True
    with pytest.raises(
        HubError, match=rf"is gated. Open {hub.url}/ana/model-GGUF, accept its terms, then: Set HF_TOKEN"
    ):
        fetch(REFERENCE)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch(REFERENCE).path.read_bytes() == model
    assert hub.asked("/resolve/")[-1].headers["authorization"] == "Bearer hf_secret"


def test_the_token_is_not_sent_to_the_host_that_files_are_redirected_to(hub, model, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(REFERENCE)
    assert all("authorization" not in seen.headers for seen in hub.asked("/cdn/"))


def test_the_hub_is_told_nothing_about_the_machine(hub, model):
    fetch(REFERENCE)
    agents = {seen.headers["user-agent"] for seen in hub.seen}
    assert all("torch" not in agent and "agent/" not in agent for agent in agents), agents
    assert not hub.asked("agent-harnesses")


def test_too_many_requests_wait_as_long_as_the_hub_asks(hub, model, waits):
    hub.faults["api"] = [Answer(429, {"Retry-After": "7"})]
    hub.faults["model-Q4_0.gguf"] = [Answer(429, {"RateLimit": '"resolvers";r=0;t=9'}), Answer(503)]
    told = Told()
    fetch(REFERENCE, progress=told)
    assert waits == [7.0, 9.0, 2.0]
    assert told.notes[0] == "the hub has had too many requests; trying again in 7 s"


def test_a_wait_that_is_too_long_is_told_instead(hub, model, waits):
    hub.faults["api"] = [Answer(429, {"Retry-After": "900"})]
    with pytest.raises(HubError, match=r"too many requests, and asks to wait 900 s. Pull again then"):
        fetch(REFERENCE)
    assert waits == []


def test_a_hub_that_is_not_there_is_told(hub, monkeypatch, waits):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"the connection to 127.0.0.1:9 failed: .*Check the connection"):
        fetch(REFERENCE)
    assert waits == [1.0, 2.0, 4.0]


def listing(**file):
    return {"id": "ana/model-GGUF", "sha": COMMIT, "siblings": [{"rfilename": "model.gguf", "size": 5000} | file]}


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Sign in to this network</html>",
        b"",
        [],
        None,
        {},
        {"id": "ana/model-GGUF", "sha": "main"},
        {"id": "ana/model-GGUF", "sha": 5},
        {"id": "ana/model-GGUF", "sha": COMMIT, "siblings": 5},
        {"id": "ana/model-GGUF", "sha": COMMIT, "cardData": {"license": [1]}},
        listing(size="5000", blobId="a" * 40),
        listing(size=-1, blobId="a" * 40),
        listing(rfilename=7, blobId="a" * 40),
        listing(lfs="x"),
    ],
)
def test_a_server_that_is_no_hub_is_told(hub, answer):
    hub.faults["api"] = [Answer(content=answer if isinstance(answer, bytes) else json.dumps(answer).encode())]
    with pytest.raises(HubError, match=rf"what answers at {hub.url[7:]} is no hub. Check HF_ENDPOINT"):
        fetch(REFERENCE)


@pytest.mark.parametrize("form", ["lfs", "blob"])
def test_a_hash_that_leads_elsewhere_writes_and_deletes_nothing_there(hub, form, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = os.path.relpath(victim, downloads_folder() / "parts")
    stated = {"lfs": {"sha256": path, "size": 5000, "pointerSize": 134}} if form == "lfs" else {"blobId": path}
    hub.repos["ana/model-GGUF"] = Repo({"model.gguf": b"x" * 5000})
    hub.faults["api"] = [Answer(content=json.dumps(listing(**stated)).encode())]
    with pytest.raises(HubError, match="is no hub"):
        fetch(REFERENCE)
    assert victim.read_bytes() == b"precious"


def test_a_proxy_that_needs_another_package_is_told(hub, model, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)
    client.hub.close_session()
    try:
        with pytest.raises(HubError, match=r"a SOCKS proxy is set, .* pip install socksio"):
            fetch(REFERENCE)
    finally:
        client.hub.close_session()


# ---- the disk ----


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(hub, model, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(HubError, match=r"GB are to come, and 0\.0 GB are free. Make room"):
        fetch(REFERENCE)
    assert not hub.asked("/cdn/")


def test_a_disk_that_fills_up_keeps_the_part(hub, model, monkeypatch):
    real = download.os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(HubError, match=r"No space left on device.*goes on from where it is"):
        fetch(REFERENCE)
    assert parts()
    monkeypatch.setattr(download.os, "fsync", real)
    assert fetch(REFERENCE).path.read_bytes() == model


# ---- offline ----


def test_offline_gives_what_was_fetched_and_asks_nobody(hub, model, monkeypatch):
    first = fetch(REFERENCE)
    asked = len(hub.seen)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(REFERENCE) == first
    with pytest.raises(HubError, match=r"hf:ana/other: is not on this machine, and HF_HUB_OFFLINE is set"):
        fetch(parse_reference("hf:ana/other"))
    assert len(hub.seen) == asked


def test_offline_a_damaged_or_missing_file_is_not_given(hub, model):
    path = fetch(REFERENCE).path
    path.write_bytes(b"x" * len(model))
    with pytest.raises(HubError, match="is not on this machine"):
        fetch(REFERENCE, offline=True)
    path.unlink()
    with pytest.raises(HubError, match="is not on this machine"):
        fetch(REFERENCE, offline=True)


def test_offline_a_pack_that_was_fetched_is_given_as_long_as_it_is_whole(hub, pack):
    first = fetch(pack)
    asked = len(hub.seen)
    assert fetch(pack, offline=True) == first
    assert len(hub.seen) == asked
    (first.path / "sql.gguf").write_bytes(b"damaged")
    with pytest.raises(HubError, match="hf:ana/pack: is not on this machine"):
        fetch(pack, offline=True)


@pytest.mark.parametrize("record", [b"", b"[]", b'{"files": 1}', b"\xff", b'{"files": []}'])
def test_offline_a_damaged_record_is_as_none(hub, model, record):
    fetch(REFERENCE)
    (path,) = downloads_folder().rglob("*.json")
    path.write_bytes(record)
    with pytest.raises(HubError, match="is not on this machine"):
        fetch(REFERENCE, offline=True)


# ---- packs ----


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


@pytest.mark.parametrize("name", ["../escape.gguf", "/etc/passwd", "a/../../b.gguf", "C:\\b.gguf"])
def test_a_repository_cannot_write_outside_its_folder(hub, model, name, tmp_path):
    hub.repos["ana/model-GGUF"].files = {name: model}
    with pytest.raises(PackError, match="holds no GGUF file"):
        fetch(REFERENCE)


def test_the_record_of_a_pull_says_where_it_came_from(hub, model):
    fetch(REFERENCE)
    (path,) = downloads_folder().rglob("*.json")
    record = json.loads(path.read_text())
    assert record["revision"] == COMMIT
    assert record["license"] == "apache-2.0"
    assert str(downloads_folder()) not in path.read_text()
