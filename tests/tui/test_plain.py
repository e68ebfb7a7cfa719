"""The plain chat, its lines piped in sooner than the pack is loaded."""

import threading

from dlp_local.history import History
from tests.support.fakes import FakeAssistant
from tui.session import Session
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
