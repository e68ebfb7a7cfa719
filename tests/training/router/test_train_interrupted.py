"""`router train` that is killed, finds no room, or is not alone leaves a whole pack."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.packs import transaction
from dlp_local.packs.manifest import read_manifest
from dlp_local.training.router.fit import TrainedRouter
from dlp_local.training.router.train import train_pack
from tests.support.pack_state import pack_state
from tests.support.router_rows import open_pack_router, silent, top

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")


def train_in_a_process(folder, rows, data, results):
    os.environ["DLP_LOCAL_DATA"] = data
    try:
        results.put(train_pack(folder, [rows], force=True, progress=silent).in_place)
    except (InputError, PackError) as error:
        results.put(str(error))


def test_two_trainings_at_once_leave_one_whole_router(mine, rows):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (mine, rows, os.environ["DLP_LOCAL_DATA"], results)
    workers = [context.Process(target=train_in_a_process, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert True in outcomes
    assert all(answer is True or "has another router" in answer for answer in outcomes)
    assert top(open_pack_router(mine), "gzip: compress a file") == "shell"


@POSIX
@pytest.mark.parametrize("at", ["training", "store_file", "write_manifest"])
def test_a_kill_in_the_middle_leaves_the_pack_as_it_was(mine, rows, at):
    before = read_manifest(mine)
    code = f"""
        import os, signal
        from pathlib import Path
        from dlp_local.packs import router, transaction
        from dlp_local.training.router.train import train_pack
        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)
        if {at!r} == "store_file":
            real = router.store_file
            def store_file(*args):
                real(*args)
                die()
            router.store_file = store_file
        if {at!r} == "write_manifest":
            transaction.write_manifest = die
        def progress(stage, done):
            if {at!r} == "training" and stage == "training" and done > 0.5:
                die()
        train_pack(Path({str(mine)!r}), [Path({str(rows)!r})], force=True, progress=progress)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert read_manifest(mine) == before
    assert top(open_pack_router(mine), "gzip: compress a file") == "shell"
    report = train_pack(mine, [rows], force=True, progress=silent)
    assert report.in_place
    brought = [path for path in (mine / transaction.FILES).iterdir() if path.name.startswith("router-")]
    assert [path.name for path in brought] == [Path(read_manifest(mine).router.file).name]


def test_a_router_that_cannot_be_written_anywhere_leaves_the_pack_as_it_was(mine, rows, monkeypatch):
    before = pack_state(mine)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TrainedRouter, "write", full)
    with pytest.raises(InputError, match=r"router\.onnx: cannot be written \(No space left on device\)"):
        train_pack(mine, [rows], force=True, progress=silent)
    assert pack_state(mine) == before
