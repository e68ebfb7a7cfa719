"""`dlp-local pack` and `adapters`: packs and adapters from the command line."""

import json
import shlex
import shutil

import pytest

from dlp_local.core.paths import packs_folder
from dlp_local.packs.backbone_kind import trained_context
from dlp_local.packs.catalogue import catalogue
from dlp_local.packs.create import start_pack
from dlp_local.packs.locations import find_pack
from dlp_local.packs.manifest import read_manifest
from tests.support.command import out, refused, run
from tests.support.hub_server import Repo
from tests.support.peft_folder import write_backbone, write_folder
from tests.support.scripted_models import write_scripted_model

TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>to ISO: {{ m.content }}<|end|>{% endfor %}<|assistant|>"


def test_a_pack_of_ones_own_from_the_command_line(monkeypatch, bundled):
    monkeypatch.delenv("DLP_LOCAL_PACK")
    out("pack", "create", "mine", "--from", "bundled")
    assert "is never changed" in refused(2, "adapters", "add", bundled / "sql.gguf", "--name", "more")
    out("pack", "use", "mine")
    assert "more is in" in out("adapters", "add", bundled / "dates.gguf", "--name", "more", "--description", "dates")
    assert out("ask", "--mix", "more", "to ISO: 4 July 1999") == "1999-07-04\n"
    rows = [json.loads(line) for line in out("pack", "list", "--json").splitlines()]
    assert [(row["name"], row["used"]) for row in rows] == [("smollm2", False), ("bundled", False), ("mine", True)]
    assert "10 files" not in out("pack", "verify")
    shown = json.loads(out("adapters", "show", "more", "--json"))
    assert shown["ranks"] == [16]
    assert shown["fits"] is True
    assert "rank         16" in out("adapters", "show", "more")
    out("adapters", "set", "more", "--scale", "0.5")
    out("adapters", "disable", "more")
    listed = {row["name"]: row for row in map(json.loads, out("adapters", "list", "--json").splitlines())}
    assert (listed["more"]["scale"], listed["more"]["enabled"]) == (0.5, False)
    assert "off  dates" in out("adapters", "list")
    out("adapters", "enable", "more")
    out("adapters", "remove", "more")
    assert "no adapter 'more'" in refused(2, "adapters", "show", "more")
    assert "adapters: banking, dates" in out("pack", "show")
    assert "Add --yes" in refused(2, "pack", "remove", "mine")
    out("pack", "use", "bundled")
    out("pack", "remove", "mine", "--yes")
    assert list(packs_folder().glob("[!.]*")) == []


def test_a_pack_starts_around_a_backbone_from_the_command_line(bundled, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text(TEMPLATE, "utf-8")
    out("pack", "create", "fresh", "--backbone", bundled / "backbone.gguf", "--context", "512", "--stop", "-",
        "--chat-template", template)  # fmt: skip
    out("adapters", "add", bundled / "dates.gguf", "--name", "dates", "--pack", "fresh")
    assert out("ask", "--pack", "fresh", "--mix", "dates", "4 July 1999") == "1999\n"
    shown = json.loads(out("pack", "show", "fresh", "--json"))
    assert shown["backbone"] == {
        "context": 512, "chat_template": TEMPLATE, "stop": ["-"], "notice": "",
        "path": str(packs_folder() / "fresh" / "backbone.gguf"),
    }  # fmt: skip
    assert "--from PACK" in refused(2, "pack", "create", "other")
    assert "as it is" in refused(2, "pack", "create", "other", "--from", "bundled", "--context", "512")


def test_a_context_above_the_trained_length_is_told_at_create_show_and_ask(bundled):
    trained = trained_context(bundled / "backbone.gguf")
    both = f"a context of 65536 tokens is asked for, and the backbone was trained for {trained}: {trained} are used"
    made = run("pack", "create", "fresh", "--backbone", bundled / "backbone.gguf", "--context", 65536)
    assert both in made.stderr.decode()
    assert both in out("pack", "show", "fresh")
    assert json.loads(out("pack", "show", "fresh", "--json"))["backbone"]["notice"].startswith(both)
    assert both in run("ask", "hello", "--pack", "fresh", "--max-tokens", 1).stderr.decode()
    wished = run("ask", "hello", "--max-tokens", 1, DLP_LOCAL_ENGINE__CONTEXT="65536")
    assert both in wished.stderr.decode()
    assert run("ask", "hello", "--max-tokens", 1).stderr == b"", "the default is no wish"


def test_a_backbone_with_a_broken_template_is_refused_before_anything_is_made(tmp_path):
    path = write_scripted_model(tmp_path / "m.gguf", ("[assistant]", "Hi"), template="{% if %}")
    told = refused(3, "pack", "create", "broken", "--backbone", path)
    assert "chat template cannot be read" in told
    assert "--chat-template FILE" in told
    assert not (packs_folder() / "broken").exists()


def test_a_backbone_is_used_in_place_from_the_command_line(bundled, tmp_path):
    own = shutil.copyfile(bundled / "backbone.gguf", tmp_path / "own.gguf")
    out("pack", "create", "fresh", "--backbone", own, "--in-place")
    assert str(own) in out("pack", "show", "fresh")
    assert f"its backbone, {own}, too" in out("pack", "verify", "fresh")
    own.unlink()
    assert "is no longer there" in refused(3, "pack", "verify", "fresh")
    assert "missing" in out("pack", "list")
    assert "is no longer there" in refused(3, "ask", "hello", "--pack", "fresh")


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("pack use ''", 3, "'': there is no pack of that name"),
        ("pack create fresh --backbone {backbone} --stop ''", 2, "--stop: an empty text ends no answer"),
        ("adapters set sql --scale 9 --pack mine", 2, "scale: 9 is none. Give a number over 0 and up to 8"),
        ("router train --out {folder}", 2, "Give them with --examples"),
        ("router train --out {folder} --examples rows.jsonl --force", 2, "Leave one out"),
        ("router eval {folder}", 2, "cannot be read"),
        ("router rollback --pack bundled", 2, "the bundled pack is never changed"),
        ("route hello --after ''", 2, "the message is empty"),
    ],
)
def test_what_cannot_be_is_told_by_its_name(mine, bundled, tmp_path, command, code, told):
    words = shlex.split(command.format(backbone=bundled / "backbone.gguf", folder=tmp_path))
    assert told in refused(code, *words)


def test_flags_and_environment_go_before_the_chosen_pack(monkeypatch, mine, bundled):
    monkeypatch.delenv("DLP_LOCAL_PACK")
    out("pack", "use", "mine")
    assert '"name": "mine"' in out("pack", "show", "--json")
    assert '"name": "bundled"' in out("pack", "show", "--json", DLP_LOCAL_PACK="bundled")
    assert '"name": "bundled"' in out("pack", "show", "--json", "bundled")
    assert "which goes before" in out("pack", "use", "mine", DLP_LOCAL_PACK="bundled")
    assert "no pack of that name" in refused(3, "pack", "use", "nothing")


def test_a_damaged_pack_is_told_by_verify_and_still_listed(mine):
    adapter = read_manifest(mine).adapters["sql"]
    path = mine / adapter.file
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1] + b"\0")
    assert f"sql-{adapter.sha256[:12]}.gguf: is damaged" in refused(3, "pack", "verify", "mine")
    (mine / "pack.toml").write_text("format = 1", "utf-8")
    assert "broken" in out("pack", "list")
    assert "line 1: name: is missing (give text)" in refused(3, "pack", "show", "mine")


def test_a_peft_folder_is_converted_on_its_way_in(tmp_path):
    backbone = write_backbone(tmp_path / "backbone.gguf")
    start_pack("fresh", backbone)
    folder = write_folder(tmp_path / "peft")
    out("adapters", "add", folder, "--name", "trained", "--pack", "fresh")
    shown = json.loads(out("adapters", "show", "trained", "--pack", "fresh", "--json"))
    assert shown["fits"] is True
    assert shown["ranks"]
    assert "all as pack.toml says" in out("pack", "verify", "fresh")
    (folder / "adapter_model.safetensors").write_bytes(b"no")
    refused(3, "adapters", "add", folder, "--name", "broken", "--pack", "fresh")
    assert list(read_manifest(find_pack("fresh")).adapters) == ["trained"]


def test_a_backbone_and_adapters_come_from_the_hub(hub, bundled, tmp_path):
    peft = write_folder(tmp_path / "peft")
    backbone = (bundled / "backbone.gguf").read_bytes()
    hub.repos["ana/tiny-GGUF"] = Repo({"tiny-Q4_0.gguf": backbone})
    hub.repos["ana/peft"] = Repo({path.name: path.read_bytes() for path in peft.iterdir()})
    hub.repos["ana/sql"] = Repo({"sql.gguf": (bundled / "sql.gguf").read_bytes()})
    out("pack", "create", "fresh", "--backbone", "hf:ana/tiny-GGUF")
    assert read_manifest(find_pack("fresh")).backbone.attribution.startswith("hf:ana/tiny-GGUF@")
    reference = catalogue()["qwen2.5-1.5b-instruct"].reference
    hub.repos[reference.repo] = Repo({reference.file: backbone})
    out("pack", "create", "known", "--backbone", "qwen2.5-1.5b-instruct")
    assert read_manifest(find_pack("known")).backbone.attribution.startswith(f"hf:{reference.repo}@")
    start_pack("small", write_backbone(tmp_path / "backbone.gguf"))
    out("adapters", "add", "hf:ana/peft", "--name", "trained", "--pack", "small")
    assert "does not fit" in refused(3, "adapters", "add", "hf:ana/sql", "--name", "sql", "--pack", "small")
    assert "'backbone'" in refused(2, "adapters", "add", "hf:ana/tiny-GGUF", "--name", "sql", "--pack", "small")
    manifest = read_manifest(find_pack("small"))
    assert list(manifest.adapters) == ["trained"]
    assert manifest.adapters["trained"].attribution.startswith("hf:ana/peft@")
    assert "all as pack.toml says" in out("pack", "verify", "small")


def test_names_of_packs_and_adapters_are_completed(mine):
    def completed(line):
        env = {"_DLP_LOCAL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        return run(**env).stdout.decode().split()

    assert "mine" in completed("dlp-local chat --pack m")
    assert "mine" in completed("dlp-local pack use m")
    assert "shell" in completed("dlp-local adapters show s")
