"""A training in another process: the same events and errors, and no end of either process that hurts the other."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from dlp_local.core.errors import EngineError, InputError, PackError
from dlp_local.training.adapter import process
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.events import (
    FitProgress,
    Stage,
    Stopped,
    TrainingRequest,
    event_json,
    event_of_json,
    request_json,
    request_of_json,
)
from dlp_local.training.adapter.process import train_in_process
from tests.support.pack_state import pack_state
from tests.support.terminal import wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
LIGHT = ("events", "choices", "process", "lessons")

SCRIPTED = """
import sys; sys.path = {path!r}
import json, os, threading
from dlp_local.core.job import Job
from dlp_local.training.adapter import child
from dlp_local.training.adapter.events import FitProgress, Stage, Stopped

def run(cancellation):
    print("a library that prints")
    os.write(1, b"and one that writes\\n")
    yield Stage("one", 0.5)
    {then}
    asked = threading.Event()
    with cancellation.forwarded(asked.set):
        asked.wait(60)
    open({kept!r}, "w").close()
    yield Stopped(1, 2)

child.train_adapters = lambda request, settings: Job(run)
child.main()
"""
"""A child whose training does nothing but wait until it is cancelled."""


@pytest.fixture
def request_(mine, rows):
    return TrainingRequest(mine, {"capitals": rows}, Choices(epochs=1, start=mine / "old.gguf"), held_out=rows)


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """Lets the child run a script; returns the file that it makes when it was cancelled."""
    kept = tmp_path / "kept"

    def script(then="pass"):
        text = SCRIPTED.replace("{then}", then).replace("{kept!r}", repr(str(kept)))
        monkeypatch.setattr(process, "_START", text)
        return kept

    return script


@pytest.mark.parametrize("module", LIGHT)
def test_what_asks_for_a_training_loads_neither_torch_nor_llama(module):
    code = (
        f"import sys, dlp_local.training.adapter.{module}; "
        "print([name for name in ('torch', 'transformers', 'llama_cpp', 'onnxruntime') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout == "[]\n"


def test_requests_and_events_come_through_as_they_are(request_):
    assert request_of_json(json.loads(json.dumps(request_json(request_)))) == request_
    progress = FitProgress(1, 2, 0, 1, None, 2.5, 2.5, 10.0, 1.0)
    assert event_of_json(json.loads(json.dumps(event_json(progress)))) == progress


@pytest.mark.parametrize(
    ("kind", "pack", "reason"), [(PackError, "nowhere", "cannot be read"), (InputError, "bundled", "is never changed")]
)
def test_the_errors_of_a_training_are_raised_here_and_the_pack_is_as_it_was(bundled, rows, kind, pack, reason):
    folder = bundled if pack == "bundled" else rows.parent / pack
    before = pack_state(bundled)
    with pytest.raises(kind, match=reason):
        train_in_process(TrainingRequest(folder, {"capitals": rows})).finish()
    assert pack_state(bundled) == before


def test_what_libraries_print_in_the_other_process_is_no_event_and_cancelling_ends_it(scripted, request_):
    kept = scripted()
    job = train_in_process(request_)
    assert next(job) == Stage("one", 0.5)
    job.cancel()
    assert list(job) == [Stopped(1, 2)]
    assert kept.exists()


def test_a_job_that_is_given_up_ends_its_process(scripted, request_):
    kept = scripted()
    job = train_in_process(request_)
    next(job)
    job.close()
    assert kept.exists()


@POSIX
def test_a_process_that_is_killed_is_told_with_what_it_said_last(scripted, request_):
    scripted("print('out of luck', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)")
    job = train_in_process(request_)
    assert next(job) == Stage("one", 0.5)
    with pytest.raises(EngineError, match=r"the training's process ended \([^)]*out of luck\)\. Train again"):
        next(job)


def test_an_error_that_nobody_expected_is_told_with_its_last_lines(scripted, request_):
    scripted("raise ZeroDivisionError('by nought')")
    job = train_in_process(request_)
    next(job)
    with pytest.raises(EngineError, match="by nought"):
        next(job)


PARENT = """
import sys
from pathlib import Path
from dlp_local.training.adapter import process
from dlp_local.training.adapter.events import TrainingRequest
process._START = sys.stdin.read()
for event in process.train_in_process(TrainingRequest(Path("x"), {{"a": Path("y")}})):
    print("told", flush=True)
"""


@POSIX
def test_where_this_process_is_killed_the_other_one_keeps_what_it_reached(scripted, request_):
    kept = scripted()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    parent.stdin.write(process._START)
    parent.stdin.close()
    assert parent.stdout.readline() == "told\n"
    assert not kept.exists()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(kept.exists)


@POSIX
def test_ctrl_c_in_the_terminal_leaves_the_end_to_the_process_that_began_it(scripted, request_):
    kept = scripted("os.kill(os.getpid(), 2)")
    job = train_in_process(request_)
    next(job)
    threading.Timer(0.5, job.cancel).start()
    assert list(job) == [Stopped(1, 2)]
    assert kept.exists()
