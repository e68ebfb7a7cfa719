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


def test_an_answer_that_takes_too_long_is_cut_off():
    with running_server(FakeAssistant(Answer(gate=Gate(), before_gate=2)), answer_timeout=1) as running:
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=QUESTION, timeout=PATIENCE).json()
    assert answer["choices"][0] | {"message": None} == {
        "index": 0, "message": None, "finish_reason": "length", "logprobs": None
    }  # fmt: skip
    assert answer["choices"][0]["message"]["content"] == "a fine "
    assert answer["dlp_local"]["finish_reason"] == "cancelled"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_when_the_engine_is_killed_what_came_is_given_with_an_error_and_the_next_ones_are_answered(bundled):
    with open_assistant(Settings(), bundled) as assistant, running_server(assistant) as running:
        with httpx.stream(
            "POST", f"{running.url}/v1/chat/completions", json=LONG | {"stream": True}, timeout=PATIENCE
        ) as stream:
            lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line)
            came = [json.loads(next(lines)) for _ in range(3)]
            waiting = []
            thread = post(running.url, waiting)
            os.kill(assistant._engine.pid, signal.SIGKILL)
            *rest, error = [json.loads(line) for line in lines if line != "[DONE]"]
        thread.join(PATIENCE)
        assert error["error"]["code"] == "engine_failed"
        deltas = "".join(c["choices"][0]["delta"].get("content", "") for c in [*came, *rest])
        assert error["dlp_local"]["answer"] == deltas != ""
        assert waiting[0].status_code == 200


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
