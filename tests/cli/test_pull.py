"""`dlp-local pull`: the catalogue, what is printed, Ctrl+C."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.paths import downloads_folder, packs_folder
from dlp_local.core.settings import Settings
from dlp_local.engine.local.memory import SPARE, kv_bytes_per_token, score_bytes_per_token
from dlp_local.formats.gguf import UINT32, Value
from dlp_local.hub.choice import Reference
from dlp_local.packs.catalogue import catalogue, named_reference
from tests.support.hub_server import COMMIT, Answer, Repo

COMMAND = [sys.executable, "-m", "dlp_local", "pull"]
SHAPES = {
    "qwen2.5-0.5b-instruct": (24, 14, 2, 64),
    "llama-3.2-1b-instruct": (16, 32, 8, 64),
    "qwen2.5-1.5b-instruct": (28, 12, 2, 128),
    "smollm2-1.7b-instruct": (24, 32, 32, 64),
    "qwen2.5-7b-instruct": (28, 28, 4, 128),
    "lfm2-350m": (16, 16, 8, 64),
    "gemma-3-1b-it": (26, 4, 1, 256),
    "qwen3-1.7b": (28, 16, 8, 128),
    "granite-3.1-2b-instruct": (40, 32, 8, 64),
    "smollm3-3b": (36, 16, 4, 128),
    "llama-3.2-3b-instruct": (28, 24, 8, 128),
    "gemma-3-4b-it": (34, 8, 4, 256),
    "qwen3-4b-instruct-2507": (36, 32, 8, 128),
    "granite-3.1-8b-instruct": (40, 32, 8, 128),
    "qwen3-8b": (36, 32, 8, 128),
}
"""Layers, heads, KV heads and head length, from the configurations that the catalogue cites."""


def run(*args, **env):
    return subprocess.run([*COMMAND, *args], capture_output=True, timeout=120, env={**os.environ, **env})


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_the_memory_that_the_catalogue_states_is_what_the_engine_asks_for(name):
    layers, heads, kv_heads, length = SHAPES[name]
    shape = {
        "block_count": layers,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.key_length": length,
        "attention.value_length": length,
    }
    values = {f"any.{key}": Value(UINT32, value) for key, value in shape.items()}
    values["general.architecture"] = Value(8, "any")
    entry = catalogue()[name]
    engine = Settings().engine
    per_token = kv_bytes_per_token(values, engine.kv_type) + score_bytes_per_token(values, engine.context, engine)
    needed = entry.size + SPARE + engine.context * per_token
    assert needed <= entry.ram <= needed + 1e8


def test_the_catalogue_begins_with_the_smallest():
    sizes = [entry.size for entry in catalogue().values()]
    assert sizes == sorted(sizes)


def test_the_catalogue_has_names_that_are_references():
    for name, entry in catalogue().items():
        assert named_reference(name) == entry.reference
        assert entry.license
    assert named_reference("hf:ana/model") == Reference("ana/model")
    with pytest.raises(InputError, match=r"is not in the catalogue. Write hf:owner/repo, or one of: lfm2-350m"):
        named_reference("model")


def test_the_catalogue_is_listed_and_without_a_name_it_is_pointed_to():
    assert b"qwen2.5-1.5b-instruct     986 MB  1.70 GB  apache-2.0" in run("--list").stdout
    rows = [json.loads(line) for line in run("--list", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == list(catalogue())
    process = run()
    assert process.returncode == 2
    assert b"pull --list" in process.stderr


def test_a_pull_says_what_it_got_and_what_comes_next(hub, model):
    process = run("hf:ana/model-GGUF")
    assert process.returncode == 0, process.stderr
    path = downloads_folder() / "ana--model-GGUF" / COMMIT / "model-Q4_0.gguf"
    assert process.stdout.decode().splitlines() == [
        f"backbone: {path}",
        f"from hf:ana/model-GGUF@{COMMIT}, {path.stat().st_size / 1e6:.1f} MB, verified",
        "license: apache-2.0",
        f"next: dlp-local pack create NAME --backbone {path}",
    ]
    row = json.loads(run("--json", "hf:ana/model-GGUF", HF_HUB_OFFLINE="1").stdout)
    assert row["kind"] == "backbone"
    assert row["files"][0]["path"] == str(path)


def test_a_pack_can_be_opened_at_once(hub, bundled):
    files = {path.name: path.read_bytes() for path in bundled.iterdir()}
    files["pack.toml"] = files["pack.toml"].replace(b'name = "bundled"', b'name = "ana"')
    hub.repos["ana/pack"] = Repo(files, card={})
    said = run("hf:ana/pack").stdout.decode()
    assert f"pack: {packs_folder() / 'ana'}" in said
    assert "next: dlp-local pack use ana" in said
    assert "license: none is stated" in said


@pytest.mark.parametrize(
    ("reference", "code", "told"),
    [
        ("hf:nobody/nothing", 5, b"no such repository"),
        ("hf:ana/model-GGUF:Q8_0", 3, b"no such file. There are:"),
        ("hf:ana", 2, b"is no reference"),
    ],
)
def test_a_failed_pull_is_an_error_and_no_traceback(hub, model, reference, code, told):
    process = run(reference)
    assert process.returncode == code
    assert told in process.stderr
    assert b"Traceback" not in process.stderr
    assert not process.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(hub, model):
    hub.faults["model-Q4_0.gguf"] = [Answer(pause=0.1)]
    process = subprocess.Popen([*COMMAND, "hf:ana/model-GGUF"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    folder = downloads_folder() / "parts"
    until = time.monotonic() + 60
    while not (folder.is_dir() and any(path.stat().st_size > 200_000 for path in folder.iterdir())):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"what came is kept; the same command goes on from there" in errors
    assert b"Traceback" not in errors
    assert run("hf:ana/model-GGUF").returncode == 0
    assert hub.asked("/cdn/")[-1].headers["range"].startswith("bytes=")


def test_a_repository_cannot_steer_the_terminal(hub, model):
    hub.repos["ana/model-GGUF"].card = {"license": "\x1b[31mmit"}
    assert b"\x1b" not in run("hf:ana/model-GGUF").stdout
