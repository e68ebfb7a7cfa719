"""The plain chat, its lines piped in sooner than the pack is loaded."""

import errno
import io
import os
import threading

import pytest

from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.user_message import Attachment, UserMessage
from dlp_local.core.values import Mix, Route
from dlp_local.history import History
from dlp_local.history.model import StoredTurn
from tests.support.fakes import Answer, FakeAssistant
from tui import line_input
from tui.messages import TurnChanged
from tui.session import Session
from tui.state import Turn
from tui.views.plain import PlainView


def test_piped_commands_wait_for_the_pack_and_say_what_they_did(monkeypatch, capsys):
    opens, lines = threading.Event(), iter(["/mix sql=1", "/veto shell", "hello"])

    def open_assistant(_):
        opens.wait(30)
        return FakeAssistant()

    def typed(_):
        if (line := next(lines, None)) is None:
            raise EOFError
        threading.Timer(0.05, opens.set).start()
        return line

    monkeypatch.setattr("tui.views.plain.read_line", typed)
    session = Session(open_assistant, History(None))
    try:
        assert PlainView(session).run() == 0
        assert session.conversation.options.pinned == {"sql": 1.0}
    finally:
        session.close()
    said = capsys.readouterr().out
    assert "Error" not in said
    assert said.index("Pinned: sql 1.00.") < said.index("Vetoed shell.") < said.index("a fine answer")


def test_an_answer_that_was_stopped_before_its_route_was_known_has_no_mix(capsys):
    done = ReplyDone("hi", "", Route("hi", {}, Mix()), "cancelled", 0, 0, 0, 99, Timings(0.0, 5.0, 5.0))
    stopped = Turn.from_stored(StoredTurn(1, None, "hi", state="done", done=done), (1, 1))
    session = Session(lambda _: FakeAssistant(), History(None))
    view = PlainView(session)
    view._waiting_for = 1
    view.post(TurnChanged(stopped))
    assert capsys.readouterr().out == "[stopped]\n"


class _FullOutput(io.StringIO):
    """Takes the first lines, and then nothing more."""

    def write(self, text):
        if "fine" in text:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return super().write(text)


def test_an_output_that_takes_no_answer_ends_the_chat_with_its_reason(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello\n" * 9)))
    monkeypatch.setattr("sys.stdout", _FullOutput())
    fake = FakeAssistant()
    session = Session(lambda _: fake, History(None))
    try:
        with pytest.raises(OSError, match="too large"):
            PlainView(session).run()
        assert len(fake.calls) == 1
    finally:
        session.close()


def test_a_line_that_is_no_text_is_told_and_the_next_one_is_answered(monkeypatch, capsys):
    said = chat(monkeypatch, capsys, b"caf\xe9\n/import a\0b\nhello\r\n/export a\0b.md\n")
    assert said.count("Error: ") == 3
    assert "Error: the line is not UTF-8 (byte 4)." in said
    assert said.count("holds a character that no file's name may") == 2
    assert "a fine answer" in said


def test_a_line_without_an_end_ends_the_chat(monkeypatch, capsys):
    monkeypatch.setattr(line_input, "MAX_LINE", 1 << 20)
    said = chat(monkeypatch, capsys, b"hello\n" + b"x" * ((1 << 20) + 1) + b"\nhello\n", code=2)
    assert "Error: stdin: has a line of more than 1 MiB" in said
    assert said.count("a fine answer") == 1


def chat(monkeypatch, capsys, lines, code=0, history=None, assistant=None):
    """What a chat of these lines prints."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    session = Session(lambda _: assistant or FakeAssistant(), history or History(None))
    try:
        assert PlainView(session).run() == code
    finally:
        session.close()
    return capsys.readouterr().out


def test_an_attached_file_is_named_where_a_conversation_is_opened(monkeypatch, capsys):
    history = History(None)
    text = str(UserMessage("summarize it", (Attachment("the capital is Paris", "notes.txt"),)))
    turn = history.add_turn(history.start(), None, text)
    history.finish(turn.id, "Paris.", None)
    said = chat(monkeypatch, capsys, b"/open 1\n", history=history)
    assert "> summarize it\n(notes.txt 20 B)\nParis." in said
    assert "the capital" not in said


def test_a_mix_by_hand_has_no_probabilities_where_the_router_says_none(monkeypatch, capsys):
    fake = FakeAssistant(Answer(by_hand=True))
    monkeypatch.setattr(fake, "route", None)
    said = chat(monkeypatch, capsys, b"hello\n/route\n", assistant=fake)
    assert "sql: weight 0.72\n" in said
    assert "probability" not in said
