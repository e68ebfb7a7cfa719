"""How the server ends, and what becomes of answers when the engine does."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from dlp_local import open_assistant
from dlp_local.core.settings import Settings
from tests.support.fakes import PATIENCE, Answer, FakeAssistant, Gate
from tests.support.http_server import NEVER_ENDS, running_server

QUESTION = {"messages": [{"role": "user", "content": "hello"}]}
LONG = {
    "model": "base",
    "messages": [{"role": "user", "content": "Tell me a very long story."}],
    "temperature": 2,
    "logit_bias": NEVER_ENDS,
}


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def post(url, answers, body=QUESTION):
    """Asks in a thread; the answer, or what it failed with, is appended to `answers`."""

    def ask():
        try:
            answers.append(httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE))
        except httpx.HTTPError as error:
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def test_bodies_that_fill_their_memory_are_refused_until_a_running_one_has_ended():
    large = QUESTION | {"user": "x" * 600_000}
    gate, first, second = Gate(), [], []
    with running_server(FakeAssistant(Answer(gate=gate)), body_megabytes=1, bodies_megabytes=1) as running:
        thread = post(running.url, first, large)
        assert gate.reached.wait(PATIENCE)
        post(running.url, second, large).join(PATIENCE)
        assert second[0].status_code == 503
        assert second[0].json()["error"]["code"] == "server_busy"
        assert int(second[0].headers["Retry-After"]) > 0
        gate.open()
        thread.join(PATIENCE)
        assert first[0].status_code == 200
        post(running.url, second, large).join(PATIENCE)
        assert second[1].status_code == 200


@contextlib.contextmanager
def one_running_and_one_waiting():
    gate, first, second = Gate(), [], []
    with running_server(FakeAssistant(Answer(gate=gate, before_gate=2))) as running:
        threads = [post(running.url, first)]
        assert gate.reached.wait(PATIENCE)
        threads.append(post(running.url, second))
        wait_until(lambda: running.runner.queue.waiting)
        yield running, gate, first, second
    for thread in threads:
        thread.join(PATIENCE)


def test_ctrl_c_finishes_the_running_answer_and_refuses_what_waits():
    with one_running_and_one_waiting() as (running, gate, first, second):
        running.server.handle_exit(signal.SIGINT, None)
        wait_until(lambda: second)
        assert second[0].status_code == 503
        assert second[0].json()["error"]["code"] == "shutting_down"
        assert not first
        gate.open()
    assert first[0].json()["choices"][0]["message"]["content"] == "a fine answer"


def test_a_second_ctrl_c_ends_at_once():
    with one_running_and_one_waiting() as (running, _, first, _):
        running.server.handle_exit(signal.SIGINT, None)
        running.server.handle_exit(signal.SIGINT, None)
    assert isinstance(first[0], httpx.HTTPError) or first[0].json()["choices"][0]["finish_reason"] == "length"


def test_a_sigterm_after_the_first_one_leaves_running_answers_to_come_to_their_end():
    with one_running_and_one_waiting() as (running, gate, first, second):
        running.server.handle_exit(signal.SIGTERM, None)
        running.server.handle_exit(signal.SIGTERM, None)
        wait_until(lambda: second)
        gate.open()
    assert first[0].json()["choices"][0]["message"]["content"] == "a fine answer"


def test_an_answer_that_takes_too_long_is_cut_off():
    with running_server(FakeAssistant(Answer(gate=Gate(), before_gate=2)), answer_timeout=1) as running:
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=QUESTION, timeout=PATIENCE).json()
    assert answer["choices"][0] | {"message": None} == {
        "index": 0, "message": None, "finish_reason": "length", "logprobs": None
    }  # fmt: skip
    assert answer["choices"][0]["message"]["content"] == "a fine "
    assert answer["dlp_local"]["finish_reason"] == "cancelled"


MANY = 6


def streamed(url, ends, mix, at_text):
    """Asks for a long answer in a thread; its text and the last event come to `ends`, and `at_text` is told of text."""

    def ask():
        text, last = "", {}
        body = LONG | {"stream": True, "model": mix}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=PATIENCE) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: {"):
                    last = json.loads(line.removeprefix("data: "))
                    text += "".join(choice["delta"].get("content") or "" for choice in last.get("choices", ()))
                    if text:
                        at_text.set()
        ends.append((text, last))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_when_the_engine_is_killed_all_that_run_end_with_what_came_and_the_next_ones_are_answered(bundled):
    with open_assistant(Settings().for_many(), bundled) as assistant, running_server(assistant) as running:
        ends, begun = [], [threading.Event() for _ in range(MANY)]
        models = [f"dates=0.{number + 1}" if number % 2 else "base" for number in range(MANY)]
        threads = [streamed(running.url, ends, *one) for one in zip(models, begun, strict=True)]
        assert all(event.wait(PATIENCE) for event in begun)
        pid = assistant._engine.pid
        os.kill(pid, signal.SIGKILL)
        for thread in threads:
            thread.join(PATIENCE)
        assert len(ends) == MANY
        for text, last in ends:
            assert last["error"]["code"] == "engine_failed"
            assert last["dlp_local"]["answer"] == text != ""
        after = []
        for thread in [post(running.url, after) for _ in range(MANY)]:
            thread.join(PATIENCE)
        assert [answer.status_code for answer in after] == [200] * MANY
        assert assistant._engine.pid != pid
        assert running.becomes_idle()


def test_the_command_says_where_it_listens_answers_and_ends_well_on_ctrl_c():
    command = [sys.executable, "-m", "dlp_local", "serve", "--pack", "bundled", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
            body = {"messages": [{"role": "user", "content": "to ISO: the secret 4 July 1999"}]}
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE).json()
            assert answer["dlp_local"]["mix"] == {"dates": 1.0}
            process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            assert "secret" not in process.stdout.read() + process.stderr.read()
        finally:
            process.kill()
