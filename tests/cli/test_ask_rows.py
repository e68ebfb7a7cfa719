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
from dlp_local.core.values import Mix
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


def written(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return str(path)


def results(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_row_has_its_own_mix_and_options_over_those_of_the_flags(tmp_path, capsys):
    fake, flags = fake_of(1), ChatOptions(max_tokens=9, seed=1)
    rows = written(
        tmp_path,
        {"text": "a", "mix": {"shell": 1}, "max_tokens": 2, "temperature": 0.5, "stop": ["x"], "system": "Be brief."},
        {"text": "b", "mix": "sql=0.75,shell=0.25", "max_tokens": None},
        {"text": "c", "mix": {}},
        {"text": "d"},
    )
    assert RowAnswers(fake, Mix.parse("dates"), flags).print_all(rows) == 0
    own = ChatOptions(max_tokens=2, seed=1, temperature=0.5, stop=("x",), system="Be brief.")
    assert [(call.mix, call.options) for call in fake.calls] == [
        (Mix.parse("shell"), own),
        (Mix.parse("sql=0.75,shell=0.25"), flags),
        (Mix(), flags),
        (Mix.parse("dates"), flags),
    ]


def test_every_result_has_the_number_of_its_row_and_the_id_that_came_with_it(tmp_path, capsys):
    rows = written(
        tmp_path,
        {"text": "a", "id": {"n": [1]}},
        "",
        {"text": "b", "id": None},
        {"id": "x"},
        {"text": "c", "adapter": "dates"},
    )
    assert RowAnswers(fake_of(2), None, ChatOptions()).print_all(rows) == 1
    names = [{name: row[name] for name in ("row", "id", "adapter") if name in row} for row in results(capsys)]
    assert names == [
        {"row": 1, "id": {"n": [1]}}, {"row": 3, "id": None}, {"row": 4, "id": "x"}, {"row": 5, "adapter": "dates"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"text": "a", "max_token": 3}, "max_token: there is no field of that name. Did you mean 'max_tokens'?"),
        ({"text": "a", "label": 3}, "label: there is no field of that name. There are text, mix, id, adapter, system"),
        ({"text": "a", "temperature": 9}, "temperature: 9 cannot be used (give a number, 0 to 5)."),
        ({"text": "a", "mix": {"sql": "x"}}, "mix: give "),
        ({"text": "a", "mix": {"sql": 10**400}}, "mix: give "),
        ({"text": "a", "mix": 1}, "mix: give "),
        ({"text": "a", "mix": {"sql": 2}}, "mix: the weights add up to 2"),
        ({"text": "a", "mix": "dates"}, "mix: 'dates' is vetoed by --veto."),
        ({"text": "a", "max_tokens": True}, "max_tokens: true cannot be used (give a whole number, 1 or more)."),
        ({"text": "a", "temperature": "0"}, 'temperature: "0" cannot be used (give a number, 0 to 5).'),
        ({"text": "a", "split": "no"}, 'split: "no" cannot be used (give true or false).'),
        ('{"text": "a", "text": "b"}', "'text' is there twice in one object."),
        ({"text": 1}, "has no text."),
        ("[1]", "is no object."),
        ("{", "is not JSON ("),
    ],
)
def test_what_a_row_cannot_have_is_told_with_its_number(tmp_path, capsys, row, told):
    rows = RowAnswers(fake := fake_of(1), None, ChatOptions(vetoed=("dates",)))
    assert rows.print_all(written(tmp_path, {"text": "well"}, row)) == 1
    assert results(capsys)[1]["error"].removeprefix("row 2: ").removeprefix("options: ").startswith(told)
    assert len(fake.calls) == 1


def test_an_answer_that_failed_is_told_with_the_number_of_its_row(tmp_path, capsys):
    fake = fake_of(1, Answer(error=InputError("too long.")))
    RowAnswers(fake, None, ChatOptions()).print_all(written(tmp_path, {"text": "a", "id": 5}))
    assert results(capsys) == [{"row": 1, "id": 5, "error": "row 1: too long."}]


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
