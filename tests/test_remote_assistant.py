"""The assistant of a server: it answers as the one there, and a stop ends the answer here and there at once."""

import contextlib
import io
import json
import re
import threading
from contextlib import contextmanager

import pytest

from dlp_local.cli.main import main
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import earlier_answers
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import ReplyDone, RouteChosen, TextDelta
from dlp_local.core.server_address import Server
from dlp_local.core.settings import load_settings
from dlp_local.core.values import Message, Mix
from dlp_local.history import History, open_history
from dlp_local.remote_assistant import NO_CORRECTIONS, open_remote_assistant
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.support.http_server import running_server
from tests.support.terminal import wait_until
from tui import opener
from tui.screens.routing import times
from tui.session import Session
from tui.widgets.receipt import receipt

DATE = "to ISO: the 3rd of February 2021"
TASKS = "tar: extract archive.tar.gz into /tmp, then to ISO: the 4th of July 1999"


@pytest.fixture(scope="module")
def server(assistant):
    with running_server(assistant) as running:
        yield running


@pytest.fixture(scope="module")
def remote(server):
    return open_remote_assistant(Server(server.url))


def test_it_tells_of_the_pack_what_the_server_has(remote, assistant, server):
    assert remote.name == f"bundled @ 127.0.0.1:{server.port}"
    for fact in ("greeting", "examples", "adapters", "pack_adapters", "context_size", "concurrent_replies"):
        assert getattr(remote, fact) == getattr(assistant, fact), fact
    assert remote.option_defaults == assistant.option_defaults
    for change in (lambda: remote.remove_adapter("sql"), lambda: remote.add_adapter("x", "y")):
        with pytest.raises(InputError, match=r"are those of the server http://127.0.0.1"):
            change()
    with pytest.raises(InputError, match="belong to the server's router"):
        remote.correct(DATE, "sql")


@pytest.mark.parametrize("text", [DATE, TASKS])
def test_a_message_is_routed_and_answered_as_on_the_server_itself(remote, assistant, text):
    first, *between, done = list(remote.reply(text, [Message("user", "hello"), Message("assistant", "Hello!")]))
    there = assistant.reply(text, [Message("user", "hello"), Message("assistant", "Hello!")]).finish()
    assert isinstance(first, RouteChosen)
    assert "".join(event.text for event in between if isinstance(event, TextDelta)) == done.answer == there.answer
    assert done.route.mix == there.route.mix
    assert [part.answer for part in done.parts] == [part.answer for part in there.parts]
    assert [part.text for part in first.route.parts] == [part.text for part in there.route.parts]
    assert (done.finish_reason, done.prompt_tokens) == (there.finish_reason, there.prompt_tokens)
    assert remote.route(text).mix == assistant.route(text).mix


def test_the_options_of_a_conversation_go_along(remote):
    pinned = ChatOptions(pinned={"dates": 0.75}, max_tokens=2, stop=("x",), system="Be brief.")
    done = remote.reply(DATE, options=pinned).finish()
    assert (str(done.route.mix), done.answer_tokens, done.finish_reason) == ("dates 0.75 · base 0.25", 2, "length")
    assert not done.route.probabilities
    assert (
        "dates"
        not in remote.reply(DATE, options=ChatOptions(vetoed=("dates",), max_tokens=1)).finish().route.mix.as_dict()
    )
    assert str(remote.reply(DATE, mix=Mix.parse("sql"), options=pinned).finish().route.mix) == "sql 1.00"
    assert not remote.reply(TASKS, options=ChatOptions(split=False, max_tokens=1)).finish().parts


def test_an_answer_is_gone_on_with(remote):
    begun = remote.reply(DATE, options=ChatOptions(max_tokens=3)).finish()
    whole = remote.reply(DATE, answer_prefix=begun.answer).finish()
    assert whole.answer == "2021-02-03"


@pytest.mark.parametrize("options", [ChatOptions(split=False), ChatOptions(temperature=0, seed=1)])
@pytest.mark.parametrize("text", [DATE, TASKS])
def test_another_answer_is_another_one_each_time_in_each_part(remote, text, options):
    replies = []
    for _ in range(3):
        replies.append(remote.reply(text, options=options, earlier_answers=earlier_answers(replies)).finish())
    for of_part in zip(*(reply.parts or (reply,) for reply in replies), strict=True):
        assert len({reply.answer for reply in of_part}) == 3


def test_a_stop_ends_the_answer_here_and_on_the_server(remote, server):
    reply = remote.reply("Tell me a very long story about the sea.", mix=Mix(), options=ChatOptions(seed=1))
    events = []
    for event in reply:
        events.append(event)
        if isinstance(event, TextDelta):
            threading.Thread(target=reply.cancel).start()
    done = events[-1]
    assert isinstance(done, ReplyDone)
    assert done.finish_reason == "cancelled"
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert (done.answer, done.answer_tokens) == ("".join(pieces), len(pieces))
    assert 0 < done.timings.first_token <= done.timings.total
    assert remote.reply(DATE).finish().answer == "2021-02-03"
    assert server.becomes_idle()


@contextmanager
def chat(*script):
    """A session over a server whose assistant answers by a script."""
    with running_server(FakeAssistant(*script)) as running:
        session = Session(opener(load_settings(), Server(running.url)), History(None))
        session.start()
        try:
            yield session
        finally:
            session.close()


def test_an_answer_that_is_stopped_before_its_route_came_is_stopped_and_no_error():
    with chat(Answer(gate=(gate := Gate()))) as session:
        number = session.send("hi").id
        assert gate.reached.wait(60)
        session.stop()
        wait_until(lambda: session.turn(number).ended)
        turn = session.turn(number)
        assert (turn.state, turn.finish_reason, turn.error, turn.route) == ("done", "cancelled", "", None)
        assert receipt(turn) == "stopped"
        assert times(turn.state, turn.route, turn.done) == "not routed"
        assert session.history_messages == ()


def test_a_mix_by_hand_is_known_of_an_answer_that_is_stopped_before_its_route_came():
    with running_server(FakeAssistant(Answer(gate=(gate := Gate())))) as running:
        reply = open_remote_assistant(Server(running.url)).reply("hi", mix=Mix.of({"sql": 1.0}))
        stopping = threading.Thread(target=lambda: (gate.reached.wait(60), reply.cancel()))
        stopping.start()
        (done,) = list(reply)
        stopping.join()
    assert (done.finish_reason, str(done.route.mix)) == ("cancelled", "sql 1.00")


def test_a_stopped_answer_has_its_numbers_and_leaves_the_context_meter_where_it_was():
    stopped = Answer(gate=(gate := Gate()), before_gate=2)
    with chat(Answer(context_used=200), stopped) as session:
        first = session.send("hi").id
        wait_until(lambda: session.turn(first).ended and session.status.phase == "ready")
        second = session.send("more").id
        wait_until(lambda: session.turn(second).answer == "a fine ")
        session.stop()
        wait_until(lambda: session.turn(second).ended and session.status.phase == "ready")
        assert gate.reached.is_set()
        assert session.turn(second).done.answer_tokens == 2
        assert "ms first token" in receipt(session.turn(second))
        assert session.status.context_used == 200
        session.new()
        assert session.status.context_used == 0


def test_https_at_a_server_of_http_is_told(server):
    with pytest.raises(EngineError, match=r"speaks http, not https. Give its address as http://127.0.0.1:\d+\."):
        open_remote_assistant(Server(server.url.replace("http:", "https:")))


def run(monkeypatch, capsys, *args, code=0):
    """What the command line prints, run here: on stdout, or else on stderr."""
    out, err = printed(monkeypatch, capsys, *args, code=code)
    return out or err


def printed(monkeypatch, capsys, *args, code=0):
    """What the command line prints on stdout and stderr, run here."""
    monkeypatch.setattr("sys.argv", ["dlp-local", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code or 0) == code, err
    return out, err


def test_ask_and_route_take_a_server_in_place_of_a_pack(server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))

    def here(*args, code=0):
        return run(monkeypatch, capsys, *args, code=code)

    assert here("ask", "--server", server.url, DATE) == "2021-02-03\n"
    assert json.loads(here("ask", "--json", "--server", f"{server.url}/v1", TASKS))["parts"][1]["mix"] == {"dates": 1.0}
    assert "dates" in here("route", "--server", server.url, DATE)
    assert json.loads(here("route", "--json", "--server", server.url, TASKS))["parts"][0]["mix"] == {"shell": 1.0}
    for wrong in (["--server", server.url, "--pack", "bundled"], ["--server", "here"], ["--api-key-file", "x"]):
        assert re.search("[Ll]eave|Give one", here("ask", *wrong, DATE, code=2))
    assert "for a pack here" in here("route", "--why", "--server", server.url, DATE, code=2)
    assert "there is no adapter 'none'" in here("ask", "--server", server.url, "--veto", "none", DATE, code=2)


def test_a_chat_over_a_server_keeps_its_history_here_and_corrects_nothing(server, monkeypatch, capsys):
    lines = iter([DATE, "/adapters", "/pack mine"])
    monkeypatch.setattr("tui.views.plain.read_line", lambda _: next(lines, None) or _end())
    out = run(monkeypatch, capsys, "chat", "--plain", "--server", server.url)
    assert "2021-02-03\n[dates 1.00 · " in out
    assert f"are those of the server {server.url}" in out
    assert "answers with its own pack" in out
    assert "2021-02-03" in run(monkeypatch, capsys, "history", "show", "1")
    session = Session(opener(load_settings(), Server(server.url)), History(None), no_corrections=NO_CORRECTIONS)
    turn = session.send("hi")
    with pytest.raises(InputError, match=r"on its machine"):
        session.correct(turn.id, "sql")
    assert not session.history.corrections()


def _end():
    raise EOFError


def test_connect_asks_the_server_what_fits_and_whether_it_has_the_model(server, assistant, monkeypatch, capsys):
    shown = run(monkeypatch, capsys, "connect", "zed", "--url", server.url, "--model", "dates=0.5,sql=0.5")
    assert f'"max_tokens": {assistant.context_size}' in shown
    refused = run(monkeypatch, capsys, "connect", "zed", "--url", server.url, "--model", "datse", code=2)
    assert "Did you mean 'dates'" in refused


def test_settings_of_this_machine_that_do_not_count_are_told(server, monkeypatch, capsys):
    ask = ("ask", "--server", server.url, "--no-stdin", DATE)
    assert "does not count" not in printed(monkeypatch, capsys, *ask)[1]
    monkeypatch.setenv("DLP_LOCAL_SAMPLING__MAX_TOKENS", "2")
    monkeypatch.setenv("DLP_LOCAL_ROUTING__TOP_P", "0.5")
    monkeypatch.setenv("DLP_LOCAL_SYSTEM", "Be brief.")
    out, err = printed(monkeypatch, capsys, *ask)
    assert out == "2021-02-03\n"
    assert "What is set here of system, routing.top_p, sampling.max_tokens does not count" in err
    _, err = printed(monkeypatch, capsys, "route", "--server", server.url, DATE)
    assert "What is set here of routing.top_p does not count" in err


def test_the_system_prompt_of_a_chat_reaches_the_server(server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello\n")))
    chat = ("chat", "--plain", "--server", server.url, "--system", "Be a pirate of the seven seas.")
    assert "does not count" not in "".join(printed(monkeypatch, capsys, *chat))
    with contextlib.closing(open_history()[0]) as history:
        (turn,) = history.conversation(history.last()).turns
    with open_remote_assistant(Server(server.url)) as remote:
        assert turn.done.prompt_tokens > remote.reply("hello").finish().prompt_tokens
