"""The engine's process: whatever ends it, the part that came is kept, and the next message is answered."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

import dlp_local
from dlp_local.core.errors import EngineError, InputError, PackError
from dlp_local.core.events import TextDelta
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Message, Mix
from dlp_local.engine.local.process import subprocess as engine_subprocess
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.engine.local.process.protocol import Generate
from dlp_local.engine.local.process.subprocess import ChildDiedError
from dlp_local.engine.text import FRAME
from tests.support.engines import ask, open_engine
from tests.support.prompts import PROMPTS
from tests.support.terminal import wait_until

MESSAGE = "hello, what can you do?"
ENDLESS = Sampling(temperature=5, top_k=0, top_p=1, min_p=0, seed=1, max_tokens=900)
"""Tokens at random, for about a second."""

KILLS = 8
"""Each starts another process, which takes a second."""

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@pytest.fixture(scope="module")
def engine(bundled):
    opened = open_engine(bundled, EngineProcess)
    yield opened
    opened.close()


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_the_process_answers_as_the_engine_itself(engine, bundled):
    direct = open_engine(bundled)
    history = (Message("user", "hello"), Message("assistant", "Hello!"))
    for task, prompts in sorted(PROMPTS.items()):
        mix = Mix.of({task: 0.75, "sql" if task != "sql" else "dates": 0.25})
        answer, done = ask(engine, prompts[0], mix, history)
        wanted, expected = ask(direct, prompts[0], mix, history)
        assert answer == wanted
        assert (done.prompt_tokens, done.answer_tokens) == (expected.prompt_tokens, expected.answer_tokens)
    assert engine.context_size == direct.context_size
    direct.close()


def test_errors_come_through_as_what_they_are(engine):
    with pytest.raises(InputError, match="no adapter 'poems'"):
        ask(engine, MESSAGE, mix=Mix.of({"poems": 1.0}))
    with pytest.raises(InputError, match="too long"):
        ask(engine, "word " * 3000)
    assert ask(engine, MESSAGE)[0]


def test_a_backbone_that_cannot_be_loaded_is_told_as_without_a_process(bundled, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes((bundled / "backbone.gguf").read_bytes()[:100_000])
    engine = EngineProcess(path, [], Options())
    for _ in range(2):
        with pytest.raises(PackError, match=r"model\.gguf: llama\.cpp cannot load it"):
            _ = engine.context_size
    engine.close()


def test_cancelling_ends_the_answer_and_the_next_one_is_whole(engine):
    whole, _ = ask(engine, MESSAGE)
    reply = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(reply)
    reply.cancel()
    rest = list(reply)
    assert rest[-1].finish_reason == "cancelled"
    assert rest[-1].answer_tokens < ENDLESS.max_tokens
    assert ask(engine, MESSAGE)[0] == whole


def test_a_reply_that_is_cancelled_before_it_begins_ends_at_once_and_the_next_one_is_whole(engine):
    reply = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    reply.cancel()
    assert reply.finish().finish_reason == "cancelled"
    assert ask(engine, MESSAGE)[1].finish_reason == "stop"


def test_of_two_replies_at_once_from_two_threads_the_cancelled_one_ends_and_the_other_is_untouched(engine):
    whole = text_of(engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS))
    for cancelled in (0, 1):
        replies = [engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS) for _ in range(2)]
        begun, texts = threading.Event(), ["", ""]

        def read(index, replies=replies, begun=begun, texts=texts):
            for event in replies[index]:
                begun.set()
                texts[index] += event.text if isinstance(event, TextDelta) else ""

        threads = [threading.Thread(target=read, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        assert begun.wait(60)
        replies[cancelled].cancel()
        for thread in threads:
            thread.join(60)
        assert texts[1 - cancelled] == whole
        assert len(texts[cancelled]) < len(whole)
        assert whole.startswith(texts[cancelled])


def test_a_second_request_waits_for_its_turn(engine):
    first = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    started = next(first)
    second = ask(engine, MESSAGE)[1]
    assert second.finish_reason == "stop"
    rest = list(first)
    assert rest[-1].finish_reason == "length"
    assert started.text + text_of(rest) == text_of(engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS))


def test_warming_that_is_cancelled_ends_and_leaves_the_next_answer_as_it_was(engine):
    history = (Message("user", "word " * 700), Message("assistant", "Hello!"))
    expected, _ = ask(engine, MESSAGE, history=history)
    ask(engine, MESSAGE)
    warming = engine.warm(history, 64)
    timer = threading.Timer(0.02, warming.cancel)
    timer.start()
    warming.finish()
    timer.join()
    assert ask(engine, MESSAGE, history=history)[0] == expected


def test_an_abandoned_answer_is_cancelled(engine):
    whole, _ = ask(engine, MESSAGE)
    abandoned = engine.generate([Message("user", MESSAGE)], Mix(), ENDLESS)
    next(abandoned)
    sent = []
    cancel = engine._child.cancel
    engine._child.cancel = lambda number: (sent.append(number), cancel(number))[1]
    abandoned.close()
    del engine._child.cancel
    assert sent
    assert ask(engine, MESSAGE)[0] == whole


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


def test_a_failure_in_python_is_told_and_leaves_the_process_alive(engine):
    pid = engine.pid
    with pytest.raises(EngineError, match="something unexpected happened in the engine"):
        list(engine.generate([], Mix(), Sampling()))
    assert ask(engine, MESSAGE)[0]
    assert engine.pid == pid


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


def test_a_word_of_tens_of_thousands_of_letters_is_too_long_and_ends_nothing(engine):
    draw = random.Random(0)
    pid = engine.pid
    with pytest.raises(InputError, match="too long"):
        ask(engine, "".join(draw.choices("acgt", k=60_000)))
    assert ask(engine, MESSAGE)[0]
    assert engine.pid == pid


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


def test_two_conversations_at_once_do_not_mix(engine):
    def conversation(task, prompts):
        history, answers = [], []
        for prompt in prompts:
            answer, _ = ask(engine, prompt, Mix.of({task: 1.0}), history)
            history += [Message("user", prompt), Message("assistant", answer)]
            answers.append(answer)
            yield answers

    alone = [list(conversation(task, PROMPTS[task][:3]))[-1] for task in ("sql", "dates")]
    together = list(zip(*(conversation(task, PROMPTS[task][:3]) for task in ("sql", "dates")), strict=True))[-1]
    assert list(together) == alone


def test_a_closed_engine_says_so_and_leaves_no_process(bundled):
    engine = open_engine(bundled, EngineProcess)
    ask(engine, MESSAGE)
    pid = engine.pid
    engine.close()
    engine.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(EngineError, match="engine is closed"):
        ask(engine, MESSAGE)


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
