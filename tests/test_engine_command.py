"""`dlp-local engine command`: the lines that start other programs, and the files that these load."""

import json
import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from dlp_local.cli.main import app
from dlp_local.core.errors import InputError
from dlp_local.core.settings import Settings
from dlp_local.engine_command import write_for_llama_server, write_for_vllm
from dlp_local.formats.gguf import read_header
from dlp_local.formats.lora import read_lora
from tests.support.lora import read_pairs

NAMES = ("banking", "dates", "describe", "extract", "shell", "sql")
HOST = "127.0.0.1"


def after(words, option):
    return words[words.index(option) + 1]


@pytest.fixture
def pack():
    return Settings(pack="bundled")


def test_llama_server_gets_copies_without_invocation_tokens_that_are_else_the_same(pack, bundled, tmp_path):
    made = write_for_llama_server(pack, tmp_path, HOST, None)
    words = shlex.split(made.line)
    assert words[0] == "llama-server"
    assert made.url == "http://127.0.0.1:8080"
    copies = after(words, "--lora").split(",")
    assert [copy.rpartition("/")[2].rpartition("-")[0] for copy in copies] == list(NAMES)
    for name, copy in zip(NAMES, sorted(tmp_path.glob("*.gguf")), strict=True):
        original = bundled / f"{name}.gguf"
        assert read_lora(original).invocation_tokens
        assert read_lora(copy).invocation_tokens == ()
        kept = dict(read_header(original).values)
        del kept["adapter.alora.invocation_tokens"]
        assert read_header(copy).values == kept
        before, now = read_pairs(original), read_pairs(copy)
        assert before.keys() == now.keys()
        assert all(np.array_equal(before[key], now[key]) for key in before)


def test_llama_server_keeps_no_prompts_that_do_not_know_their_mix(pack, tmp_path):
    words = shlex.split(write_for_llama_server(pack, tmp_path, HOST, 9000).line)
    assert (after(words, "--cache-ram"), after(words, "--tags"), after(words, "--port")) == ("0", "cache-ram-0", "9000")


def test_copies_that_are_there_are_left_as_they_are(pack, tmp_path):
    write_for_llama_server(pack, tmp_path, HOST, None)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_for_llama_server(pack, tmp_path, HOST, None)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_folder_with_a_comma_is_refused(pack, tmp_path):
    with pytest.raises(InputError, match=r"comma for the end of a path.*--out"):
        write_for_llama_server(pack, tmp_path / "a,b", HOST, None)


def test_vllm_gets_a_folder_for_each_adapter_and_one_for_the_bare_backbone(pack, tmp_path):
    made = write_for_vllm(pack, tmp_path / "mixes", tmp_path / "model folder", HOST, None)
    words = shlex.split(made.line)
    assert words[:4] == ["VLLM_ALLOW_RUNTIME_LORA_UPDATING=True", "vllm", "serve", str(tmp_path / "model folder")]
    modules = dict(word.split("=") for word in words[words.index("--lora-modules") + 1 :])
    assert [name.split("-")[2] for name in modules] == ["base", *NAMES]
    for name, folder in modules.items():
        assert folder == str(tmp_path / "mixes" / name)
        config = json.loads((tmp_path / "mixes" / name / "adapter_config.json").read_text("utf-8"))
        assert config["r"] == config["lora_alpha"] == 16
    assert after(words, "--max-lora-rank") == "64"  # four adapters of rank 16
    assert any("engine.mix_folder" in note for note in made.notes)
    assert any("private" in note for note in made.notes)


def test_the_folder_of_the_model_is_the_users_to_name(pack, tmp_path):
    made = write_for_vllm(pack, tmp_path, None, HOST, None)
    assert "FOLDER_OF_THE_MODEL" in made.line
    assert any("Hugging Face folder" in note and "--model" in note for note in made.notes)


def test_no_more_context_is_asked_for_than_the_backbone_was_trained_for(tmp_path):
    settings = Settings(pack="bundled", engine={"context": 1 << 20})
    words = shlex.split(write_for_vllm(settings, tmp_path, None, HOST, None).line)
    assert int(after(words, "--max-model-len")) < 1 << 20


def test_the_line_alone_goes_to_stdout(tmp_path):
    ran = CliRunner().invoke(app, ["engine", "command", "llama-server", "--out", str(tmp_path)])
    assert ran.exit_code == 0
    (line,) = ran.stdout.splitlines()
    assert line.startswith("llama-server -m ")
    assert "engine.url" in ran.stderr


def test_llama_server_takes_no_folder_of_a_model(tmp_path):
    ran = CliRunner().invoke(app, ["engine", "command", "llama-server", "--model", str(tmp_path)])
    assert isinstance(ran.exception, InputError)
