"""The plain chat, its lines piped in sooner than the pack is loaded."""

import threading

from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import Mix, Route
from dlp_local.history import History
from dlp_local.history.model import StoredTurn
from tests.support.fakes import FakeAssistant
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

    monkeypatch.setattr("builtins.input", typed)
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
