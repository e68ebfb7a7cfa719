"""An engine's process that is killed, aborted, frozen or not started loses nothing, and answers the next message."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

import dlp_local
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import TextDelta
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Message, Mix
from dlp_local.engine.local.process import subprocess as engine_subprocess
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.engine.local.process.protocol import Generate
from dlp_local.engine.local.process.subprocess import ChildDiedError
from dlp_local.engine.text import FRAME
from tests.support.engine_process import ENDLESS, MESSAGE, POSIX, text_of
from tests.support.engines import ask, open_engine
from tests.support.prompts import PROMPTS
from tests.support.terminal import wait_until

KILLS = 8
"""Each starts another process, which takes a second."""


def test_an_answer_left_open_in_a_dead_process_does_not_touch_the_next_one(engine):
    whole, _ = ask(engine, MESSAGE)
    left_open = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(left_open)
    psutil.Process(engine.pid).kill()
    wait_until(lambda: not engine._child.alive)
    assert ask(engine, MESSAGE)[0] == whole
    running = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(running)
    assert list(left_open)[-1].finish_reason == "error"
    running.cancel()
    assert list(running)[-1].finish_reason == "cancelled"


@POSIX
def test_killed_at_random_tokens_it_loses_nothing(engine, monkeypatch, tmp_path):
    message, mix = [Message("user", MESSAGE)], Mix.of({"sql": 0.5, "dates": 0.25, "shell": 0.125})
    whole = text_of(engine.generate(message, mix, ENDLESS))
    rng = random.Random(3)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    pids = set()
    for _ in range(KILLS):
        stop_at = rng.randrange(len(whole) // 2)
        given, pid = "", 0
        for event in engine.generate(message, mix, ENDLESS):
            if isinstance(event, TextDelta):
                given += event.text
            if not pid and len(given) >= stop_at:
                time.sleep(rng.random() * FRAME)
                pid = engine.pid
                os.kill(pid, signal.SIGKILL)
        pids.add(pid)
        assert whole.startswith(given)
        assert event.finish_reason == "error"
        assert "lack of memory" in event.error
    assert ask(engine, MESSAGE)[1].finish_reason == "stop"
    assert len(pids) == KILLS
    assert not [pid for pid in pids - {engine.pid} if psutil.pid_exists(pid)]
    assert list(folder.iterdir()) == []


@POSIX
def test_killed_while_it_is_idle_or_warms_it_comes_back_with_its_adapters(engine, bundled):
    engine.add_adapter(AdapterFile("extra", bundled / "dates.gguf"))
    wanted, _ = ask(engine, PROMPTS["dates"][0], Mix.of({"extra": 1.0}))
    os.kill(engine.pid, signal.SIGKILL)
    engine.warm((Message("user", "hello"), Message("assistant", "Hello!")), 64).finish()
    assert ask(engine, PROMPTS["dates"][0], Mix.of({"extra": 1.0}))[0] == wanted
    engine.remove_adapter("extra")
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(InputError, match="no adapter 'extra'"):
        ask(engine, MESSAGE, mix=Mix.of({"extra": 1.0}))


@POSIX
def test_an_abort_inside_says_so_in_plain_words(engine):
    events = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(events)
    os.kill(engine.pid, signal.SIGABRT)
    done = list(events)[-1]
    assert done.finish_reason == "error"
    assert "stopped with an error of its own" in done.error
    assert ask(engine, MESSAGE)[1].finish_reason == "stop"


@POSIX
@pytest.mark.parametrize("message", [MESSAGE, "word " * 60_000], ids=["short", "longer than a pipe"])
def test_a_frozen_process_is_ended_and_said_so(bundled, message):
    engine = open_engine(bundled, EngineProcess, response_timeout=6)
    ask(engine, MESSAGE)
    os.kill(engine.pid, signal.SIGSTOP)
    events = engine._child.events
    engine._child.request(999, Generate((Message("user", message),), Mix(), Sampling()))
    with pytest.raises(ChildDiedError, match="no longer responded for 6 s"):
        list(events(999))
    assert ask(engine, MESSAGE)[1].finish_reason == "stop"
    os.kill(engine.pid, signal.SIGSTOP)
    engine.close()
    assert not psutil.pid_exists(engine.pid)


def test_a_process_that_the_system_does_not_start_is_told_and_tried_again(engine, monkeypatch):
    def no_memory(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    ask(engine, MESSAGE)
    psutil.Process(engine.pid).kill()
    wait_until(lambda: not engine._child.alive)
    with monkeypatch.context() as machine:
        machine.setattr(engine_subprocess.subprocess, "Popen", no_memory)
        with pytest.raises(EngineError, match=r"cannot be started \(Cannot allocate memory\)"):
            ask(engine, MESSAGE)
    assert ask(engine, MESSAGE)[1].finish_reason == "stop"


@POSIX
@pytest.mark.parametrize("answering", [True, False])
def test_the_process_ends_with_its_parent_even_where_that_was_killed(bundled, answering):
    script = f"""
        import sys, time
        from pathlib import Path
        from dlp_local import open_assistant
        assistant = open_assistant(folder=Path({str(bundled)!r}))
        print(assistant._engine.pid, flush=True)
        if {answering}:
            for event in assistant.reply("hello, what can you do?"):
                time.sleep(0.2)
        time.sleep(60)
    """
    root = Path(dlp_local.__file__).parents[1]
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=root, text=True
    )
    process = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_cancelling_in_a_dead_process_harms_nothing(engine):
    reply = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(reply)
    psutil.Process(engine.pid).kill()
    wait_until(lambda: not engine._child.alive)
    reply.cancel()
    assert reply.finish().finish_reason == "error"
    assert ask(engine, MESSAGE)[0]
