"""`ask --jsonl`: many rows at once, printed in order."""

import json
import threading

import pytest

from dlp_local.cli import terminal
from dlp_local.cli.ask_rows import READ_AHEAD, RowAnswers
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.server_address import Server
from dlp_local.core.settings import load_settings
from dlp_local.remote_assistant import open_remote_assistant
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.support.http_server import running_server
from tests.support.terminal import wait_until


def fake_of(count, *script):
    fake = FakeAssistant(*script)
    fake.concurrent_replies = count
    return fake


def rows_file(folder, count):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"message {i}"}) + "\n" for i in range(count)), "utf-8")
    return str(path)


def texts(capsys):
    return [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]


def test_a_row_that_takes_long_holds_the_next_ones_back_only_in_print(tmp_path, capsys):
    gate = Gate()
    fake = fake_of(2, Answer(gate=gate))
    rows = RowAnswers(fake, None, ChatOptions())
    running = threading.Thread(target=rows.print_all, args=(rows_file(tmp_path, 9),))
    running.start()
    wait_until(lambda: len(fake.calls) == 2 * READ_AHEAD)
    assert texts(capsys) == []
    gate.open()
    running.join(60)
    assert texts(capsys) == [f"message {i}" for i in range(9)]


def test_no_more_rows_are_answered_at_once_than_the_engine_computes(tmp_path, capsys):
    gates = [Gate() for _ in range(4)]
    fake = fake_of(3, *(Answer(gate=gate) for gate in gates))
    running = threading.Thread(target=RowAnswers(fake, None, ChatOptions()).print_all, args=(rows_file(tmp_path, 4),))
    running.start()
    wait_until(lambda: len(fake.calls) == 3)
    assert not any(gate.reached.wait(0.2) for gate in gates[3:])
    for gate in gates:
        gate.open()
    running.join(60)
    assert len(texts(capsys)) == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BrokenPipeError()], ids=["Ctrl+C", "a reader that is gone"])
def test_what_runs_ends_where_nothing_more_is_printed(tmp_path, monkeypatch, error):
    gates = [Gate(), Gate()]
    fake = fake_of(3, Answer(), *(Answer(gate=gate) for gate in gates))

    def fails(_):
        for gate in gates:
            gate.reached.wait(60)
        raise error

    monkeypatch.setattr(terminal, "write_json", fails)
    with pytest.raises(type(error)):
        RowAnswers(fake, None, ChatOptions()).print_all(rows_file(tmp_path, 50))
    assert len(fake.calls) < 50


def test_rows_before_one_that_cannot_be_read_are_answered(tmp_path, capsys, monkeypatch):
    def lines(_):
        yield 1, b'{"text": "one"}'
        raise InputError("the disk is gone.")

    monkeypatch.setattr(terminal, "numbered_lines", lines)
    with pytest.raises(InputError, match="the disk is gone"):
        RowAnswers(fake_of(2), None, ChatOptions()).print_all("rows.jsonl")
    assert texts(capsys) == ["one"]


def test_failed_rows_are_counted(tmp_path, capsys):
    fake = fake_of(2, Answer(), Answer(error=InputError("too long.")), Answer())
    assert RowAnswers(fake, None, ChatOptions()).print_all(rows_file(tmp_path, 3)) == 1


def test_a_server_is_asked_as_many_rows_at_once_as_it_answers(tmp_path, capsys):
    fake = fake_of(3)
    with running_server(fake) as running, open_remote_assistant(Server(running.url)) as assistant:
        assert assistant.concurrent_replies == 3
        assert RowAnswers(assistant, None, ChatOptions()).print_all(rows_file(tmp_path, 12)) == 0
    assert texts(capsys) == [f"message {i}" for i in range(12)]


@pytest.mark.parametrize(("variables", "parallel"), [({}, 16), ({"DLP_LOCAL_ENGINE__PARALLEL": "3"}, 3)])
def test_sixteen_answers_at_a_time_unless_the_settings_say_how_many(monkeypatch, variables, parallel):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load_settings().for_many().engine.parallel == parallel
