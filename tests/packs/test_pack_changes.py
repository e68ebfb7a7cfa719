"""Changing packs: what is accepted is sound and fits; whatever goes wrong, the pack stays as it was."""

import errno
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.paths import data_folder
from dlp_local.core.settings import Engine as Options
from dlp_local.core.values import AdapterChange
from dlp_local.engine.local.llama import Backbone
from dlp_local.formats.gguf import read_header
from dlp_local.formats.lora import problems_of_fit, read_lora
from dlp_local.packs import open_pack, transaction
from dlp_local.packs.adapters import (
    add_adapter,
    inspect,
    remove_adapter,
    set_adapter,
    verify_pack,
)
from dlp_local.packs.create import copy_pack, remove_pack, start_pack
from dlp_local.packs.locations import (
    bundled_pack,
    default_pack_name,
    find_pack,
    pack_folder,
    set_default_pack,
    user_packs,
)
from dlp_local.packs.manifest import Pack, read_manifest
from tests.support.lora import read_pairs, write_lora

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals or limits")


@pytest.fixture
def mine(bundled) -> Path:
    """A pack of the user's own, made from the bundled one."""
    return copy_pack("mine", bundled)


def state(folder):
    """Every file of a folder with its content's hash, but for the lock."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != transaction.LOCK
    }


# ---- making packs ----


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
    before = state(mine)
    with pytest.raises(InputError, match="there is a pack 'mine' already"):
        copy_pack("mine", bundled)
    assert state(mine) == before


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


# ---- which pack ----


def test_the_setting_goes_before_the_choice_and_that_before_the_bundled_pack(mine, tmp_path, bundled):
    assert pack_folder(None) == bundled_pack()
    set_default_pack("mine")
    assert pack_folder(None) == mine
    assert pack_folder("bundled") == bundled_pack()
    assert pack_folder(str(bundled)) == bundled
    set_default_pack("bundled")
    assert pack_folder(None) == bundled_pack()


def test_a_folder_is_chosen_by_where_it_is_now(pack_copy, monkeypatch):
    monkeypatch.chdir(pack_copy.parent)
    set_default_pack("./pack")
    monkeypatch.chdir("/")
    assert pack_folder(None).samefile(pack_copy)


def test_a_name_goes_before_a_folder_of_that_name(mine, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_pack("mine") == mine
    assert find_pack("./mine") == Path("./mine")


def test_a_choice_that_is_gone_is_told_with_the_way_back(mine):
    set_default_pack("mine")
    remove_pack("mine")
    with pytest.raises(PackError, match=r"'mine': there is no pack .*pack use bundled"):
        pack_folder(None)
    assert default_pack_name() == "mine"


# ---- adapters ----


def test_an_added_adapter_is_copied_with_its_hash_its_license_and_its_examples(mine, bundled, tmp_path):
    rows = tmp_path / "rows.jsonl"
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


def adapter_of(folder, name):
    return read_manifest(folder).adapters[name]


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
    before = state(mine)
    add_adapter(mine, bundled / "sql.gguf", "more", AdapterChange(examples=rows))
    remove_adapter(mine, "more")
    assert state(mine) == before
    with pytest.raises(InputError, match=r"no adapter 'more' in this pack. There are: banking, dates"):
        remove_adapter(mine, "more")


def test_a_switched_off_adapter_is_not_loaded_and_may_be_damaged(mine):
    set_adapter(mine, "sql", AdapterChange(enabled=False))
    assert "sql" not in [file.name for file in open_pack(mine).adapter_files()]
    (mine / adapter_of(mine, "sql").file).unlink()
    pack = open_pack(mine)
    assert any("sql-" in problem for problem in verify_pack(pack))
    set_adapter(mine, "sql", AdapterChange(enabled=True))
    with pytest.raises(PackError, match="sql-"):
        open_pack(mine)


@pytest.mark.parametrize("scale", [0.0, -1.0, 9.0, float("nan"), float("inf")])
def test_a_scale_that_no_adapter_may_have_changes_nothing(mine, bundled, scale):
    before = state(mine)
    for deed in (
        lambda: set_adapter(mine, "sql", AdapterChange(scale=scale)),
        lambda: add_adapter(mine, bundled / "sql.gguf", "more", AdapterChange(scale=scale)),
    ):
        with pytest.raises(InputError, match=r"scale: .* Give a number over 0 and up to 8"):
            deed()
    assert state(mine) == before


@POSIX
@pytest.mark.parametrize(
    "change_pack",
    [
        lambda pack, source, said: add_adapter(pack, source, "more", said),
        lambda pack, source, said: set_adapter(pack, "sql", said),
    ],
)
def test_examples_out_of_a_pipe_are_refused_for_they_can_be_read_only_once(mine, bundled, change_pack):
    before = state(mine)
    read, write = os.pipe()
    os.write(write, b"how many cats\n")
    os.close(write)
    said = AdapterChange(examples=Path(f"/dev/fd/{read}"))
    try:
        with pytest.raises(InputError, match=rf"/dev/fd/{read}: is no file .* Write the examples to one first"):
            change_pack(mine, bundled / "sql.gguf", said)
    finally:
        os.close(read)
    assert state(mine) == before


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
    before = state(bundled)
    for deed in (
        lambda: add_adapter(bundled, bundled / "sql.gguf", "more"),
        lambda: remove_adapter(bundled, "sql"),
        lambda: set_adapter(bundled, "sql", AdapterChange(scale=0.5)),
    ):
        with pytest.raises(InputError, match="pack create mine --from bundled && dlp-local pack use mine"):
            deed()
    assert state(bundled) == before
    assert not (bundled / transaction.LOCK).exists()


@pytest.mark.parametrize("name", ["base", "SQL", "a/b", "../x", ""])
def test_an_adapter_of_a_name_that_none_may_have_is_refused(mine, bundled, name):
    with pytest.raises(InputError, match="adapter: "):
        add_adapter(mine, bundled / "sql.gguf", name)


@pytest.mark.parametrize("rows", [b"", b"\n \n", b"caf\xe9\n", b"\x00"[:0]])
def test_examples_that_cannot_be_used_add_no_adapter(mine, bundled, tmp_path, rows):
    path = tmp_path / "rows.txt"
    path.write_bytes(rows)
    before = state(mine)
    with pytest.raises(InputError, match=r"rows\.txt"):
        add_adapter(mine, bundled / "sql.gguf", "more", AdapterChange(examples=path))
    assert state(mine) == before


# ---- what fits ----


def other(bundled, path, change_pairs, **options):
    """The bundled sql adapter with other tensors."""
    pairs = read_pairs(bundled / "sql.gguf")
    return write_lora(path, change_pairs(pairs), **options)


Q = "blk.0.attn_q.weight"


def renamed(pairs):
    return {name.replace("blk.0.", "blk.77."): array for name, array in pairs.items()}


def shaped(half, axis, size):
    def change_pairs(pairs):
        array = pairs[f"{Q}.lora_{half}"]
        shape = list(array.shape)
        shape[axis] = size
        return pairs | {f"{Q}.lora_{half}": np.ones(shape, np.float32)}

    return change_pairs


FOREIGN = {
    "another architecture": (lambda pairs: pairs, {"arch": "qwen2"}, "architecture qwen2, and the backbone is llama"),
    "weights that the backbone lacks": (renamed, {}, r"the backbone has no weight blk\.77\."),
    "more inputs": (shaped("a", 1, 512), {}, rf"{Q} goes from 512 to"),
    "more outputs": (shaped("b", 0, 512), {}, rf"{Q} goes from \d+ to 512"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_adapter_that_does_not_fit_the_backbone_is_refused_and_changes_nothing(mine, bundled, tmp_path, name):
    change_pairs, options, reason = FOREIGN[name]
    path = other(bundled, tmp_path / "foreign.gguf", change_pairs, **options)
    before = state(mine)
    with pytest.raises(PackError, match=rf"foreign\.gguf: does not fit the backbone: .*{reason}"):
        add_adapter(mine, path, "foreign")
    assert state(mine) == before


def test_invocation_tokens_that_the_backbone_lacks_are_told(mine, bundled, tmp_path):
    data = bytearray((bundled / "sql.gguf").read_bytes())
    key = b"adapter.alora.invocation_tokens"
    at = data.index(key) + len(key) + 4 + 4 + 8  # the array's type, its elements' and its length
    data[at : at + 4] = (9999).to_bytes(4, "little")
    path = tmp_path / "foreign.gguf"
    path.write_bytes(data)
    with pytest.raises(PackError, match=r"its invocation tokens are \(9999,.*knows 4096 tokens"):
        add_adapter(mine, path, "foreign")


def pair(name, inputs, outputs, transposed=False):
    """A and B of a weight; those of the token embeddings are the other way round."""
    a = (inputs, 4) if transposed else (4, inputs)
    return {f"{name}.lora_a": np.ones(a, np.float32), f"{name}.lora_b": np.ones((outputs, 4), np.float32)}


def test_what_fits_is_what_llama_cpp_loads(bundled, tmp_path):
    header = read_header(bundled / "backbone.gguf")
    width, vocabulary = header.tensors["token_embd.weight"].shape
    more = [
        pair("token_embd.weight", vocabulary, width, transposed=True),
        pair("token_embd.weight", width, vocabulary, transposed=True),
        pair("blk.0.attn_norm.weight", width, width),
        pair("output.weight", width, vocabulary),
    ]
    cases = [
        (lambda pairs: pairs, {}),
        *((change_pairs, options) for change_pairs, options, _ in FOREIGN.values()),
        *((lambda pairs, new=new: pairs | new, {}) for new in more),
    ]
    verdicts = []
    with Backbone(bundled / "backbone.gguf", Options()) as backbone:
        for number, (change_pairs, options) in enumerate(cases):
            lora = read_lora(other(bundled, tmp_path / f"{number}.gguf", change_pairs, **options))
            try:
                backbone.load_adapter(lora)
                loads = True
            except PackError:
                loads = False
            assert (not problems_of_fit(lora, header)) == loads, f"case {number}: {problems_of_fit(lora, header)}"
            verdicts.append(loads)
    assert verdicts == [True] + [False] * (len(cases) - 1)


def test_what_an_adapter_is_can_be_looked_at(bundled, tmp_path):
    header = read_header(bundled / "backbone.gguf")
    fit = inspect(bundled / "sql.gguf", header)
    assert fit.architecture == "llama"
    assert fit.ranks == (16,)
    assert fit.weights == ("attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up")
    assert fit.size == (bundled / "sql.gguf").stat().st_size
    assert fit.problem == ""
    about = {"general.license": "mit", "general.base_model.0.name": "Qwen2.5"}
    foreign = inspect(other(bundled, tmp_path / "f.gguf", lambda pairs: pairs, arch="qwen2", values=about), header)
    assert (foreign.license, foreign.base_model) == ("mit", "Qwen2.5")
    assert "architecture qwen2" in foreign.problem


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model" * 1000])
def test_a_damaged_adapter_is_refused_by_its_own_name(mine, tmp_path, content):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    before = state(mine)
    with pytest.raises(PackError, match=r"broken\.gguf: "):
        add_adapter(mine, path, "broken")
    assert state(mine) == before


# ---- what can go wrong with disks and processes ----


def script(text):
    return [sys.executable, "-c", textwrap.dedent(text)]


@POSIX
def test_a_full_disk_leaves_the_pack_as_it_was(mine, bundled):
    before = state(mine)
    limited = script(f"""
        import resource
        from pathlib import Path
        from dlp_local.core.errors import PackError
        from dlp_local.packs.adapters import add_adapter
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        try:
            add_adapter(Path({str(mine)!r}), Path({str(bundled / "sql.gguf")!r}), "more")
        except PackError as error:
            print(error)
    """)
    ran = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert "is as it was, for the disk is full" in ran.stdout, ran.stderr
    assert state(mine) == before


@pytest.mark.parametrize(
    ("call", "of_files"), [("replace", (1, 2)), pytest.param("fsync", (1, 3), marks=POSIX)]
)  # the other fsync is a folder's, and Windows has none
def test_a_disk_that_fails_at_any_step_leaves_the_pack_as_it_was(mine, bundled, monkeypatch, call, of_files):
    before = state(mine)
    real, failures = getattr(os, call), []

    def add(fail_at):
        calls = iter(range(1, 100))

        def failing(*args):
            if next(calls) == fail_at:
                failures.append(fail_at)
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, failing)
            add_adapter(mine, bundled / "sql.gguf", "more")

    for fail_at in of_files:
        with pytest.raises(PackError, match="is as it was, for the disk is full"):
            add(fail_at)
        assert state(mine) == before
    assert tuple(failures) == of_files
    add(0)
    assert "more" in open_pack(mine).manifest.adapters


@POSIX
def test_killed_at_any_moment_it_leaves_the_pack_as_it_was_or_as_it_is_meant_to_be(mine, bundled):
    """The process ends itself at each call that touches the disk, one after the other."""
    before = state(mine)
    killed = 0
    for at in range(1, 40):
        ran = subprocess.run(
            script(f"""
                import os, signal, sys
                from pathlib import Path
                from dlp_local.packs.adapters import add_adapter
                import dlp_local.packs.resolve
                seen = [0]
                def watch(event, args):
                    if event in ("open", "os.rename", "os.remove", "os.mkdir") and "packs/mine" in str(args[0]):
                        seen[0] += 1
                        if seen[0] == {at}:
                            os.kill(os.getpid(), signal.SIGKILL)
                sys.addaudithook(watch)
                add_adapter(Path({str(mine)!r}), Path({str(bundled / "sql.gguf")!r}), "more")
            """),
            capture_output=True, timeout=60,
        )  # fmt: skip
        assert ran.returncode in (0, -signal.SIGKILL), ran.stderr.decode()
        killed += ran.returncode != 0
        pack = open_pack(mine)
        assert set(pack.manifest.adapters) - {"more"} == set(read_manifest(bundled).adapters)
        if "more" in pack.manifest.adapters:
            remove_adapter(mine, "more")
        else:
            set_adapter(mine, "sql", AdapterChange(scale=1.0))
            set_adapter(mine, "sql", AdapterChange(scale=1.0))
        if ran.returncode == 0:
            break
    assert killed >= 8
    left = {name for name in state(mine) if name not in before}
    assert left == set(), "what the cuts left behind goes with the next change"


def _add_many(folder, source, names):
    for name in names:
        add_adapter(Path(folder), Path(source), name)


def test_processes_that_add_adapters_at_once_lose_none(mine, bundled):
    context = multiprocessing.get_context("spawn")
    names = [[f"p{process}-{i}" for i in range(4)] for process in range(3)]
    workers = [context.Process(target=_add_many, args=(mine, bundled / "dates.gguf", some)) for some in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    pack = open_pack(mine)
    assert {name for some in names for name in some} <= set(pack.manifest.adapters)
    assert verify_pack(pack) == []


def test_a_pack_that_another_process_does_not_let_go_is_told(mine, bundled, monkeypatch):
    monkeypatch.setattr(transaction, "LOCK_WAIT", 0.1)
    with transaction.locked(mine), pytest.raises(PackError, match="another process is changing it"):
        add_adapter(mine, bundled / "sql.gguf", "more")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_pack_that_cannot_be_written_to_is_told(mine, bundled):
    mine.chmod(0o555)
    try:
        with pytest.raises(PackError, match=r"cannot be changed \(Permission denied\)"):
            add_adapter(mine, bundled / "sql.gguf", "more")
    finally:
        mine.chmod(0o755)


def test_a_folder_for_adapters_that_leads_out_of_the_pack_is_not_followed(mine, bundled, tmp_path):
    outside = tmp_path / "outside"
    (mine / "adapters").rename(outside)
    victim = outside / "sql-0123456789ab.gguf"
    victim.write_bytes(b"precious")
    (mine / "adapters").symlink_to(outside)
    with pytest.raises(PackError, match="link to a place outside"):
        add_adapter(mine, bundled / "sql.gguf", "more")
    assert victim.exists()


# ---- a thousand adapters ----


@pytest.fixture
def thousand(mine, bundled):
    """A pack of a thousand adapters, all of them the same file under other names."""
    adapter = adapter_of(bundled, "dates")
    entries = []
    for i in range(1000):
        name = f"adapters/a{i}.gguf"
        os.link(mine / adapter_of(mine, "dates").file, mine / name)
        entries.append(
            f'[adapters.a{i}]\nfile = "{name}"\nsha256 = "{adapter.sha256}"\n'
            f'description = "the {i}th"\nexamples = ["message {i}", "another {i}"]\n'
        )
    with (mine / "pack.toml").open("a", encoding="utf-8") as manifest:
        manifest.write("\n" + "\n".join(entries))
    return mine


def test_a_pack_of_a_thousand_adapters_reads_each_file_once_and_then_none(thousand, monkeypatch):
    reads = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: (reads.append(file.name), real(file, name))[1])
    assert len(open_pack(thousand).adapter_files()) == 1006
    assert len(reads) >= 1006
    reads.clear()
    assert len(open_pack(thousand).adapter_files()) == 1006
    assert reads == []
    pack = open_pack(thousand)
    assert pack.problems(pack.manifest.files(), recall=False) == []
    assert len(reads) >= 1006


def test_an_adapter_is_added_to_a_thousand_others_and_taken_out_again(thousand, bundled):
    add_adapter(thousand, bundled / "sql.gguf", "more")
    assert len(read_manifest(thousand).adapters) == 1007
    remove_adapter(thousand, "more")
    assert len(read_manifest(thousand).adapters) == 1006
    assert json.dumps(adapter_of(thousand, "a999").examples) == '["message 999", "another 999"]'


# ---- remembered hashes ----


def aged(path):
    """As if the file had last been changed an hour ago."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 3_600_000_000_000))


def test_a_changed_file_is_noticed_however_often_the_pack_was_opened(pack_copy):
    path = pack_copy / "sql.gguf"
    for _ in range(2):
        open_pack(pack_copy)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        open_pack(pack_copy)


def test_a_file_that_was_changed_a_moment_ago_is_not_remembered(pack_copy, monkeypatch):
    path = pack_copy / "sql.gguf"
    data = bytearray(path.read_bytes())
    path.write_bytes(data)
    stamp = path.stat()
    open_pack(pack_copy)
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the clock of the disk had not moved on
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        open_pack(pack_copy)


def test_verify_reads_what_opening_believes(pack_copy):
    path = pack_copy / "sql.gguf"
    aged(path)
    open_pack(pack_copy)
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # a disk that lost a bit says nothing of it
    pack = open_pack(pack_copy)
    assert any("sql.gguf: is damaged" in problem for problem in verify_pack(pack))
    with pytest.raises(PackError, match=r"sql\.gguf: is damaged"):
        open_pack(pack_copy)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"x": 1', b'{"x": [1, 2]}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_of_hashes_is_done_without(pack_copy, content):
    open_pack(pack_copy)
    (memory,) = (data_folder() / "verified").iterdir()
    memory.write_bytes(content)
    assert open_pack(pack_copy).name == "bundled"


def test_without_a_data_folder_packs_open_all_the_same(pack_copy, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("DLP_LOCAL_DATA", str(blocked))
    for _ in range(2):
        assert open_pack(pack_copy).name == "bundled"
    assert user_packs() == []


def test_examples_are_those_of_the_manifest_and_then_those_of_the_file(mine, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("first\nsecond\n", "utf-8")
    inline = adapter_of(mine, "dates").examples
    set_adapter(mine, "dates", AdapterChange(examples=rows))
    pack = Pack(mine, read_manifest(mine))
    assert pack.examples("dates") == (*inline, "first", "second")
