"""Adapters of a pack: added, replaced, set, removed; what is accepted is sound."""

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.values import AdapterChange
from dlp_local.packs import open_pack, transaction
from dlp_local.packs.adapters import (
    add_adapter,
    remove_adapter,
    set_adapter,
    verify_pack,
)
from dlp_local.packs.create import start_pack
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.pack import Pack
from tests.support.lora import write_lora
from tests.support.pack_state import adapter_of, pack_state
from tests.support.peft_folder import safetensors, write_folder

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals or limits")


@pytest.mark.parametrize("name", ["rows.jsonl", "ROWS.JSONL"])
def test_an_added_adapter_is_copied_with_its_hash_its_license_and_its_examples(mine, bundled, tmp_path, name):
    rows = tmp_path / name
    rows.write_text('{"text": "count the players"}\n\n{"text": "which teams won?"}\n', "utf-8")
    given = AdapterChange(description="questions → SQL", scale=0.5, scope="context", license="MIT", examples=rows)
    add_adapter(mine, bundled / "sql.gguf", "more", given)
    pack = open_pack(mine)
    adapter = pack.manifest.adapters["more"]
    assert pack.path(adapter).read_bytes() == (bundled / "sql.gguf").read_bytes()
    assert (adapter.description, adapter.scale, adapter.scope, adapter.license) == (
        "questions → SQL", 0.5, "context", "MIT",
    )  # fmt: skip
    assert pack.examples("more") == ("count the players", "which teams won?")
    assert pack.examples("sql") == adapter_of(bundled, "sql").examples
    assert verify_pack(pack) == []


@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_norms_beside_a_lora_are_left_out_and_told_whichever_way_it_comes(mine, tmp_path, kind):
    width = 256
    module, norm = "base_model.model.model.layers.0.self_attn.q_proj", "base_model.model.model.norm.weight"
    if kind == "folder":
        pair = {f"{module}.lora_A.weight": (4, width), f"{module}.lora_B.weight": (width, 4), norm: (width,)}
        tensors = {name: np.ones(shape, np.float32) for name, shape in pair.items()}
        source = write_folder(tmp_path / "peft", safetensors(tensors))
    else:
        pair = {"blk.0.attn_q.weight.lora_a": (4, width), "blk.0.attn_q.weight.lora_b": (width, 4)}
        shapes = pair | {"output_norm.weight": (width,)}
        source = write_lora(tmp_path / "a.gguf", {name: np.ones(shape) for name, shape in shapes.items()})
    assert re.match(r"left out: .*norm\.weight, for llama\.cpp", add_adapter(mine, source, "more"))
    assert add_adapter(mine, mine / adapter_of(mine, "sql").file, "again") == ""


@pytest.mark.parametrize("file", ["", "adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_is_known_by_each_of_its_files(mine, tmp_path, file):
    module = "model.layers.0.self_attn.q_proj"
    shapes = {f"{module}.lora_A.weight": (4, 256), f"{module}.lora_B.weight": (256, 4)}
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    folder = write_folder(tmp_path / "peft", safetensors(tensors))
    add_adapter(mine, folder / file, "more")
    assert verify_pack(open_pack(mine)) == []


def test_comments_and_the_order_of_a_manifest_survive_a_change(mine, bundled):
    manifest = mine / "pack.toml"
    text = manifest.read_text("utf-8").replace("[adapters.sql]", "# the best one\n[adapters.sql]  # really")
    manifest.write_text(text, "utf-8")
    add_adapter(mine, bundled / "sql.gguf", "more")
    remove_adapter(mine, "more")
    assert manifest.read_text("utf-8").rstrip() == text.rstrip()


@pytest.mark.parametrize("form", ["inline", "dotted", "out of order"])
def test_a_manifest_written_in_another_form_of_toml_is_changed_as_well(mine, bundled, form):
    manifest = mine / "pack.toml"
    text = manifest.read_text("utf-8")
    head, rest = text[: text.index("[adapters.banking]")], text[text.index("[adapters.dates]") :]
    sql = tomllib.loads(text)["adapters"]["sql"]
    one = f'file = "{sql["file"]}", sha256 = "{sql["sha256"]}"'
    if form == "inline":
        text = f"adapters = {{sql = {{{one}}}}}\n{head}"
    elif form == "dotted":
        text = head + "[adapters]\n" + "\n".join(f"sql.{part}" for part in one.split(", ")) + "\n"
    else:
        router = head[head.index("[router]") :]
        text = head.replace(router, "") + "[adapters.sql]\n" + one.replace(", ", "\n") + "\n" + router + rest
        text = text[: text.rindex("[adapters.sql]")]
    manifest.write_text(text, "utf-8")
    before = set(read_manifest(mine).adapters)
    add_adapter(mine, bundled / "shell.gguf", "more")
    assert set(read_manifest(mine).adapters) == before | {"more"}
    set_adapter(mine, "sql", AdapterChange(scale=0.5))
    assert adapter_of(mine, "sql").scale == 0.5
    remove_adapter(mine, "sql")
    assert set(read_manifest(mine).adapters) == before - {"sql"} | {"more"}


def test_an_adapter_is_replaced_only_where_that_is_wanted_and_keeps_what_was_said_of_it(mine, bundled):
    with pytest.raises(InputError, match="an adapter 'sql' in this pack already"):
        add_adapter(mine, bundled / "dates.gguf", "sql")
    old = adapter_of(mine, "sql")
    add_adapter(mine, bundled / "dates.gguf", "sql", replace=True)
    new = adapter_of(mine, "sql")
    assert (mine / new.file).read_bytes() == (bundled / "dates.gguf").read_bytes()
    assert (new.description, new.examples) == (old.description, old.examples)
    assert not (mine / old.file).exists()
    open_pack(mine)


def test_a_removed_adapter_is_gone_with_its_files_and_a_file_of_the_user_stays(mine, bundled, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("one\n")
    note = mine / "adapters" / "README.md"
    note.write_text("mine")
    before = pack_state(mine)
    add_adapter(mine, bundled / "sql.gguf", "more", AdapterChange(examples=rows))
    remove_adapter(mine, "more")
    assert pack_state(mine) == before
    with pytest.raises(InputError, match=r"there is no adapter 'more'\. There are: banking, dates"):
        remove_adapter(mine, "more")


def test_a_switched_off_adapter_is_not_loaded_and_may_be_damaged_but_is_not_switched_on_then(mine):
    set_adapter(mine, "sql", AdapterChange(enabled=False))
    assert "sql" not in [file.name for file in open_pack(mine).adapter_files()]
    (mine / adapter_of(mine, "sql").file).unlink()
    pack = open_pack(mine)
    assert any("sql-" in problem for problem in verify_pack(pack))
    before = pack_state(mine)
    with pytest.raises(PackError, match=r"sql-.*cannot be read.*--replace"):
        set_adapter(mine, "sql", AdapterChange(enabled=True))
    assert pack_state(mine) == before
    assert "sql" not in open_pack(mine).manifest.enabled


@pytest.mark.parametrize("deed", ["add", "set", "remove", "replace"])
def test_a_change_that_is_not_taken_over_leaves_the_pack_with_all_of_its_files(mine, bundled, tmp_path, deed):
    rows = tmp_path / "rows.txt"
    rows.write_text("count the cats")
    set_adapter(mine, "sql", AdapterChange(examples=rows))
    before, seen = pack_state(mine), []

    def refuse():
        seen.append(open_pack(mine).manifest)
        raise PackError("refused")

    rows.write_text("count the dogs")
    deeds = {
        "add": lambda: add_adapter(mine, bundled / "sql.gguf", "more", accept=refuse),
        "set": lambda: set_adapter(mine, "sql", AdapterChange(scale=0.5, examples=rows), accept=refuse),
        "remove": lambda: remove_adapter(mine, "sql", accept=refuse),
        "replace": lambda: add_adapter(mine, bundled / "dates.gguf", "sql", replace=True, accept=refuse),
    }
    with pytest.raises(PackError, match="refused"):
        deeds[deed]()
    assert seen[0] != read_manifest(mine), "the change was there to be taken over"
    assert pack_state(mine) == before
    assert open_pack(mine).examples("sql")[-1] == "count the cats"


@pytest.mark.parametrize("scale", [0.0, -1.0, 9.0, float("nan"), float("inf")])
def test_a_scale_that_no_adapter_may_have_changes_nothing(mine, bundled, scale):
    before = pack_state(mine)
    for deed in (
        lambda: set_adapter(mine, "sql", AdapterChange(scale=scale)),
        lambda: add_adapter(mine, bundled / "sql.gguf", "more", AdapterChange(scale=scale)),
    ):
        with pytest.raises(InputError, match=r"scale: .* Give a number over 0 and up to 8"):
            deed()
    assert pack_state(mine) == before


@POSIX
@pytest.mark.parametrize(
    "change_pack",
    [
        lambda pack, source, said: add_adapter(pack, source, "more", said),
        lambda pack, source, said: set_adapter(pack, "sql", said),
    ],
)
def test_examples_out_of_a_pipe_are_refused_for_they_can_be_read_only_once(mine, bundled, change_pack):
    before = pack_state(mine)
    read, write = os.pipe()
    os.write(write, b"how many cats\n")
    os.close(write)
    said = AdapterChange(examples=Path(f"/dev/fd/{read}"))
    try:
        with pytest.raises(InputError, match=rf"/dev/fd/{read}: is no file .* Write the examples to one first"):
            change_pack(mine, bundled / "sql.gguf", said)
    finally:
        os.close(read)
    assert pack_state(mine) == before


@POSIX
@pytest.mark.parametrize("endless", ["/dev/zero", "pipe"])
def test_what_may_have_no_end_is_neither_adapter_nor_backbone(mine, tmp_path, endless):
    source = tmp_path / endless if endless == "pipe" else Path(endless)
    if endless == "pipe":
        os.mkfifo(source)
    with pytest.raises(InputError, match=r": is no file\. Name a GGUF file"):
        add_adapter(mine, source, "more")
    with pytest.raises(InputError, match=r": is no file\. Name a GGUF file"):
        start_pack("fresh", source)


def test_the_bundled_pack_is_never_changed(bundled):
    before = pack_state(bundled)
    for deed in (
        lambda: add_adapter(bundled, bundled / "sql.gguf", "more"),
        lambda: remove_adapter(bundled, "sql"),
        lambda: set_adapter(bundled, "sql", AdapterChange(scale=0.5)),
    ):
        with pytest.raises(InputError, match="pack create mine --from bundled && dlp-local pack use mine"):
            deed()
    assert pack_state(bundled) == before
    assert not (bundled / transaction.LOCK).exists()


@pytest.mark.parametrize("name", ["base", "SQL", "a/b", "../x", ""])
def test_an_adapter_of_a_name_that_none_may_have_is_refused(mine, bundled, name):
    with pytest.raises(InputError, match="adapter: "):
        add_adapter(mine, bundled / "sql.gguf", name)


@pytest.mark.parametrize("rows", [b"", b"\n \n", b"caf\xe9\n", b"\x00"[:0]])
def test_examples_that_cannot_be_used_add_no_adapter(mine, bundled, tmp_path, rows):
    path = tmp_path / "rows.txt"
    path.write_bytes(rows)
    before = pack_state(mine)
    with pytest.raises(InputError, match=r"rows\.txt"):
        add_adapter(mine, bundled / "sql.gguf", "more", AdapterChange(examples=path))
    assert pack_state(mine) == before


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model" * 1000])
def test_a_damaged_adapter_is_refused_by_its_own_name(mine, tmp_path, content):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    before = pack_state(mine)
    with pytest.raises(PackError, match=r"broken\.gguf: "):
        add_adapter(mine, path, "broken")
    assert pack_state(mine) == before


def test_examples_are_those_of_the_manifest_and_then_those_of_the_file(mine, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("first\nsecond\n", "utf-8")
    inline = adapter_of(mine, "dates").examples
    set_adapter(mine, "dates", AdapterChange(examples=rows))
    pack = Pack(mine, read_manifest(mine))
    assert pack.examples("dates") == (*inline, "first", "second")


def test_a_bad_adapter_in_a_folder_is_told_by_its_own_name(mine, tmp_path, bundled):
    (tmp_path / "lora").mkdir()
    file = shutil.copyfile(bundled / "backbone.gguf", tmp_path / "lora" / "odd.gguf")
    with pytest.raises(PackError, match=f"^{re.escape(str(file))}: is a whole model"):
        add_adapter(mine, tmp_path / "lora", "odd")
