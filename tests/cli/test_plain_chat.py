"""`dlp-local chat` without a window: line by line."""

import json
import os
import select
import sys
import time

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Mix
from tests.support.command import out, refused, run


def test_a_plain_chat_answers_line_by_line_and_stores_it(stored):
    lines = b"to ISO: 4 July 1999\n/route\n/copy\n/mix sql=0.5\n/options\n/retry\n /nonsense is a message\n"
    said = out("chat", "--plain", stdin=lines)
    assert "1999-07-04" in said
    assert "[dates 1.00 · " in said
    assert "dates: probability 1.000, weight 1.00" in said
    assert "Error: the window alone can do that" in said
    assert "Pinned mix: sql=0.5 (here)" in said
    assert "\x1b" not in said
    conversation = stored.conversation(stored.last())
    assert [turn.text for turn in conversation.turns] == ["to ISO: 4 July 1999"] * 2 + ["/nonsense is a message"]
    again = out("chat", "--plain", "--resume", stdin=b"/undo\n/edit\nto ISO: 5 July 1999\n/quit\nnever\n")
    assert "> to ISO: 4 July 1999" in again
    assert "Taken back: /nonsense" in again
    assert stored.conversation(stored.last()).path()[-1].text == "to ISO: 5 July 1999"


def test_a_plain_chat_prints_the_conversation_that_it_goes_to(stored, tmp_path):
    out("ask", "--save", "to ISO: 4 July 1999")
    out("history", "export", "1", str(tmp_path / "talk.json"))
    said = out("chat", "--plain", stdin=f"/open 1\n/new\n/import {tmp_path}/talk.json\n/quit\n".encode())
    assert said.count("> to ISO: 4 July 1999\n1999-07-04\n") == 2
    assert "A new conversation." in said
    assert "Imported: to ISO: 4 July 1999." in said


def test_a_chat_begins_with_a_persona_and_a_mix_over_it(stored):
    stored.set_persona("brief", ChatOptions(persona="brief", max_tokens=2, pinned={"sql": 1.0}))
    said = out("chat", "--plain", "--persona", "brief", "--mix", "dates", stdin=b"to ISO: 4 July 1999\n/options\n")
    assert "Pinned mix: dates=1 (here)" in said
    assert "Longest answer: 2 (persona)" in said
    (turn,) = stored.conversation(stored.last()).turns
    assert turn.done.route.mix == Mix.of({"dates": 1})
    assert turn.done.finish_reason == "length"
    assert "Did you mean 'brief'?" in refused(2, "chat", "--plain", "--persona", "brif")


@pytest.mark.parametrize("before", [("--persona", "pirate"), ("--continue", "1")])
def test_a_system_prompt_goes_over_that_of_a_persona_and_of_a_conversation(stored, before):
    stored.set_persona("pirate", ChatOptions(persona="pirate", system="Be a pirate."))
    out("ask", "--save", "--persona", "pirate", "--max-tokens", "1", "hello")
    said = out("chat", "--plain", *before, "--system", "Be brief.", stdin=b"/options\nhello\n")
    assert "System prompt: Be brief. (here)" in said
    assert stored.conversation(stored.last()).info.options.system == "Be brief."


def test_a_mix_goes_over_the_options_that_a_conversation_has(stored):
    number = out("ask", "--save", "--json", "--max-tokens", "2", "hello")
    number = str(json.loads(number)["conversation"])
    said = out("chat", "--plain", "--continue", number, "--mix", "sql", stdin=b"/options\n")
    assert "Longest answer: 2 (here)" in said
    assert "Pinned mix: sql=1 (here)" in said


def test_a_dumb_terminal_gets_the_plain_chat():
    process = run("chat", stdin=b"/quit\n", TERM="dumb")
    assert process.returncode == 0
    assert b"dlp-local, plain." in process.stdout


PLAIN_WITH_A_LONG_ANSWER = """
import signal
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant, Gate
from tui.views.plain import PlainView
from tui.session import Session

answer = Answer(["begun\\n", "never written"], gate=Gate(), before_gate=1)
session = Session(lambda _: FakeAssistant(answer), History(None))
code = PlainView(session).run()
signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl+C, while Python ends
session.close()
raise SystemExit(code)
"""


def test_ctrl_c_in_a_plain_chat_stops_the_answer_and_then_leaves():
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(sys.executable, [sys.executable, "-c", PLAIN_WITH_A_LONG_ANSWER], {**os.environ, "TERM": "dumb"})

    def until(wanted):
        seen = b""
        while wanted not in seen:
            assert select.select([terminal], [], [], 60)[0], seen
            seen += os.read(terminal, 4096)
        return seen

    until(b"> ")
    os.write(terminal, b"go on\n")
    until(b"begun")
    os.write(terminal, b"\x03")
    told = until(b"> ")
    assert b"stopped" in told
    assert b"never written" not in told
    end = next_try = time.monotonic()
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        assert time.monotonic() < end + 60
        if time.monotonic() >= next_try:
            os.write(terminal, b"\x03")  # again: Python loses one that comes between a prompt and its reading
            next_try += 10  # but not while it ends: that would be told by the shell as its end
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def test_a_pack_that_cannot_be_loaded_ends_a_plain_chat_with_its_reason(tmp_path):
    process = run("chat", "--plain", "--pack", str(tmp_path), stdin=b"hello\n")
    assert process.returncode == 3
    assert b"pack.toml: cannot be read" in process.stdout
