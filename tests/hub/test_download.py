"""Downloading over real HTTP: cuts, slow links, wrong hashes, full disks."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading

import pytest

from dlp_local.core.errors import HubError
from dlp_local.core.paths import downloads_folder
from dlp_local.hub import client, download
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.fetch import fetch
from tests.support.hub_server import MODEL, Answer, Repo, Told, parts


def test_a_cut_connection_goes_on_where_it_was(hub, model, waits):
    hub.faults["model-Q4_0.gguf"] = [Answer(cut_after=1_000_000), Answer(cut_after=2_000_000)]
    told = Told()
    assert fetch(MODEL, progress=told).path.read_bytes() == model
    starts = [int(seen.headers["range"].removeprefix("bytes=")[:-1]) for seen in hub.asked("/cdn/")[1:]]
    assert len(starts) == 2
    assert 900_000 < starts[0] <= 1_000_000
    assert 2_900_000 - 65_536 < starts[1] <= 3_000_000
    assert waits == [1.0, 1.0]
    assert "trying again in 1 s" in told.notes[0]


def test_a_connection_that_never_holds_is_given_up_and_the_next_pull_goes_on(hub, model, waits):
    hub.faults["model-Q4_0.gguf"] = [Answer(cut_after=1_000_000), *[Answer(cut_after=0)] * 9]
    with pytest.raises(HubError, match=r"(?s)times in a row. Check the connection and pull again: it goes on"):
        fetch(MODEL)
    assert waits == [1.0, 2.0, 4.0]
    (part,) = parts()
    kept = part.stat().st_size
    assert 900_000 < kept <= 1_000_000
    hub.faults.clear()
    assert fetch(MODEL).path.read_bytes() == model
    assert hub.asked("/cdn/")[-1].headers["range"] == f"bytes={kept}-"


def test_a_server_that_cannot_go_on_in_the_middle_starts_again(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(cut_after=1_000_000), Answer(ignore_range=True)]
    assert fetch(MODEL).path.read_bytes() == model


def test_a_part_that_is_longer_than_the_file_is_begun_anew(hub, model):
    folder = downloads_folder() / "parts"
    folder.mkdir(parents=True)
    (folder / hashlib.sha256(model).hexdigest()).write_bytes(b"x" * (len(model) + 7))
    assert fetch(MODEL).path.read_bytes() == model


def test_the_part_of_a_killed_pull_is_gone_on_with(hub, model, monkeypatch):
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.05)]
    code = (
        "from dlp_local.hub.choice import parse_reference\n"
        "from dlp_local.packs.fetch import fetch\n"
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
    assert fetch(MODEL).path.read_bytes() == model
    assert hub.asked("/cdn/")[-1].headers["range"].startswith("bytes=")


def test_two_pulls_do_not_write_to_the_same_part(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.02)]
    begun = threading.Event()

    class Begun(Told):
        def at(self, file, done):
            begun.set()

    first = threading.Thread(target=fetch, args=(MODEL,), kwargs={"progress": Begun()})
    first.start()
    assert begun.wait(20)
    with pytest.raises(HubError, match="another pull is running"):
        fetch(MODEL)
    first.join()


def test_a_link_that_stands_still_is_cut_and_goes_on(hub, model, monkeypatch):
    monkeypatch.setattr(client, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=1.0)]
    told = Told()
    assert fetch(MODEL, progress=told).path.read_bytes() == model
    assert "failed" in told.notes[0]


def test_a_slow_link_that_keeps_coming_is_waited_for(hub, model, waits, monkeypatch):
    monkeypatch.setattr(client, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.01)]
    fetch(MODEL)
    assert waits == []


def test_a_wrong_hash_deletes_what_came_and_says_so(hub, model):
    wrong = bytearray(model)
    wrong[-1] ^= 1
    hub.faults["model-Q4_0.gguf"] = [Answer(content=bytes(wrong))]
    with pytest.raises(HubError, match=r"model-Q4_0\.gguf is not what the hub promises \(another hash\); .* deleted"):
        fetch(MODEL)
    assert not parts()
    assert not list(downloads_folder().rglob("*.gguf"))
    assert fetch(MODEL).path.read_bytes() == model


def test_a_wrong_hash_of_a_small_file_is_noticed_too(hub):
    hub.repos["ana/peft"] = Repo({"adapter_config.json": b'{"r": 8}', "adapter_model.safetensors": b"\0" * 2000})
    hub.faults["adapter_config.json"] = [Answer(content=b'{"r": 9}')]
    with pytest.raises(HubError, match=r"adapter_config\.json is not what the hub promises"):
        fetch(parse_reference("hf:ana/peft"))


def test_more_bytes_than_promised_do_not_fill_the_disk(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(content=model + b"x" * 5_000_000)]
    assert fetch(MODEL).path.read_bytes() == model


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(hub, model, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(HubError, match=r"MB are to come, and 1\.0 MB are free. Make room"):
        fetch(MODEL)
    assert not hub.asked("/cdn/")


def test_a_disk_that_fills_up_keeps_the_part(hub, model, monkeypatch):
    real = download.os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(HubError, match=r"No space left on device.*goes on from where it is"):
        fetch(MODEL)
    assert parts()
    monkeypatch.setattr(download.os, "fsync", real)
    assert fetch(MODEL).path.read_bytes() == model
