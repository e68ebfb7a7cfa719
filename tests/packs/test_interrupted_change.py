"""Whatever goes wrong with disks and processes, a pack stays as it was or becomes what it is meant to be."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tomlkit

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.values import AdapterChange
from dlp_local.packs import open_pack, transaction
from dlp_local.packs.adapters import (
    add_adapter,
    remove_adapter,
    set_adapter,
    verify_pack,
)
from dlp_local.packs.manifest import read_manifest
from tests.support.pack_state import pack_state

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals or limits")


def script(text):
    return [sys.executable, "-c", textwrap.dedent(text)]


@POSIX
def test_a_limit_on_the_size_of_files_leaves_the_pack_as_it_was_and_is_told_as_one(mine, bundled):
    before = pack_state(mine)
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
    assert "is as it was, for the file system, or a limit (ulimit -f), takes no file as large" in ran.stdout, ran.stderr
    assert pack_state(mine) == before


@pytest.mark.parametrize(
    ("call", "of_files"), [("replace", (1, 2)), pytest.param("fsync", (1, 4), marks=POSIX)]
)  # the other fsync is a folder's, and Windows has none
def test_a_disk_that_fails_at_any_step_leaves_the_pack_as_it_was(mine, bundled, monkeypatch, call, of_files):
    before = pack_state(mine)
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
        assert pack_state(mine) == before
    assert tuple(failures) == of_files
    add(0)
    assert "more" in open_pack(mine).manifest.adapters


@POSIX
def test_killed_at_any_moment_it_leaves_the_pack_as_it_was_or_as_it_is_meant_to_be(mine, bundled):
    """The process ends itself at each call that touches the disk, one after the other."""
    before = pack_state(mine)
    killed = 0
    adds = subprocess.Popen(
        script(f"""
            import os, signal, sys
            from pathlib import Path
            from dlp_local.packs.adapters import add_adapter
            import dlp_local.packs.resolve
            for line in sys.stdin:
                seen = [0]
                def watch(event, args):
                    if event in ("open", "os.rename", "os.remove", "os.mkdir") and "packs/mine" in str(args[0]):
                        seen[0] += 1
                        if seen[0] == int(line):
                            os.kill(os.getpid(), signal.SIGKILL)
                child = os.fork()
                if not child:
                    sys.addaudithook(watch)
                    add_adapter(Path({str(mine)!r}), Path({str(bundled / "sql.gguf")!r}), "more")
                    os._exit(0)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        """),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for at in range(1, 40):
        adds.stdin.write(f"{at}\n")
        adds.stdin.flush()
        code = int(adds.stdout.readline())
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        pack = open_pack(mine)
        assert set(pack.manifest.adapters) - {"more"} == set(read_manifest(bundled).adapters)
        if "more" in pack.manifest.adapters:
            remove_adapter(mine, "more")
        else:
            set_adapter(mine, "sql", AdapterChange(scale=1.0))
            set_adapter(mine, "sql", AdapterChange(scale=1.0))
        if code == 0:
            break
    adds.communicate(timeout=60)
    assert killed >= 8
    left = {name for name in pack_state(mine) if name not in before}
    assert left == set(), "what the cuts left behind goes with the next change"


@pytest.mark.parametrize("change_fails", [False, True])
def test_the_file_of_an_adapter_that_was_taken_out_by_hand_stays_until_it_is_put_back(mine, change_fails):
    manifest = (mine / "pack.toml").read_text("utf-8")
    sql = mine / read_manifest(mine).adapters["sql"].file
    document = tomlkit.parse(manifest)
    del document["adapters"]["sql"]
    (mine / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    if change_fails:
        with pytest.raises(InputError, match="there is no adapter 'none'"):
            set_adapter(mine, "none", AdapterChange(scale=2.0))
    else:
        set_adapter(mine, "dates", AdapterChange(scale=2.0))
        remove_adapter(mine, "shell")
    assert sql.exists()
    (mine / "pack.toml").write_text(manifest, "utf-8")
    assert "sql" in read_manifest(mine).adapters


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets administrators alone make links")
def test_a_folder_for_adapters_that_leads_out_of_the_pack_is_not_followed(mine, bundled, tmp_path):
    outside = tmp_path / "outside"
    (mine / "adapters").rename(outside)
    victim = outside / "sql-0123456789ab.gguf"
    victim.write_bytes(b"precious")
    (mine / "adapters").symlink_to(outside)
    with pytest.raises(PackError, match="link to a place outside"):
        add_adapter(mine, bundled / "sql.gguf", "more")
    assert victim.exists()
