"""What a hub refuses, asks for or is told, and servers that are no hub."""

import json
import os
import sys

import pytest

from dlp_local.core.errors import HubError, PackError
from dlp_local.core.paths import downloads_folder
from dlp_local.hub import client
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.fetch import fetch
from tests.support.hub_server import COMMIT, MODEL, Answer, Repo, Told


def listing(**file):
    return {"id": "ana/model-GGUF", "sha": COMMIT, "siblings": [{"rfilename": "model.gguf", "size": 5000} | file]}


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("hf:nobody/nothing", r"no such repository, or it is private.*HF_TOKEN"),
        ("hf:ana/model-GGUF@v9", "has no revision 'v9'"),
        ("hf:ana/model-GGUF:other.gguf", r"no such file\. There are:\n  model-Q4_0\.gguf  8\.1 MB"),
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
        fetch(MODEL)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch(MODEL).path.read_bytes() == model
    assert hub.asked("/resolve/")[-1].headers["authorization"] == "Bearer hf_secret"


def test_the_token_is_not_sent_to_the_host_that_files_are_redirected_to(hub, model, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(MODEL)
    assert all("authorization" not in seen.headers for seen in hub.asked("/cdn/"))


def test_the_hub_is_told_nothing_about_the_machine(hub, model):
    fetch(MODEL)
    agents = {seen.headers["user-agent"] for seen in hub.seen}
    assert all("torch" not in agent and "agent/" not in agent for agent in agents), agents
    assert not hub.asked("agent-harnesses")


def test_too_many_requests_wait_as_long_as_the_hub_asks(hub, model, waits):
    hub.faults["api"] = [Answer(429, {"Retry-After": "7"})]
    hub.faults["model-Q4_0.gguf"] = [Answer(429, {"RateLimit": '"resolvers";r=0;t=9'}), Answer(503)]
    told = Told()
    fetch(MODEL, progress=told)
    assert waits == [7.0, 9.0, 2.0]
    assert told.notes[0] == "the hub has had too many requests; trying again in 7 s"


def test_a_wait_that_is_too_long_is_told_instead(hub, model, waits):
    hub.faults["api"] = [Answer(429, {"Retry-After": "900"})]
    with pytest.raises(HubError, match=r"too many requests, and asks to wait 900 s. Pull again then"):
        fetch(MODEL)
    assert waits == []


def test_a_hub_that_is_not_there_is_told(hub, monkeypatch, waits):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"the connection to 127.0.0.1:9 failed: .*Check the connection"):
        fetch(MODEL)
    assert waits == [1.0, 2.0, 4.0]


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
        fetch(MODEL)


@pytest.mark.parametrize("form", ["lfs", "blob"])
def test_a_hash_that_leads_elsewhere_writes_and_deletes_nothing_there(hub, form, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = os.path.relpath(victim, downloads_folder() / "parts")
    stated = {"lfs": {"sha256": path, "size": 5000, "pointerSize": 134}} if form == "lfs" else {"blobId": path}
    hub.repos["ana/model-GGUF"] = Repo({"model.gguf": b"x" * 5000})
    hub.faults["api"] = [Answer(content=json.dumps(listing(**stated)).encode())]
    with pytest.raises(HubError, match="is no hub"):
        fetch(MODEL)
    assert victim.read_bytes() == b"precious"


def test_a_proxy_that_needs_another_package_is_told(hub, model, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)
    client.hub.close_session()
    try:
        with pytest.raises(HubError, match=r"a SOCKS proxy is set, .* pip install socksio"):
            fetch(MODEL)
    finally:
        client.hub.close_session()
