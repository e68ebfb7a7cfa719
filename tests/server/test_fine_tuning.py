"""Trainings through OpenAI's own client; what trains is scripted."""

import csv
import io
import re
from pathlib import Path

import openai
import pytest
from pydantic import TypeAdapter

from dlp_local.core.errors import EngineError, InputError, PackError
from dlp_local.server.replies.fine_tuning import FineTuningEventList, FineTuningJobList
from dlp_local.server.requests.fine_tuning import METHODS_HERE, FineTuningRequest, TrainingExtension
from tests.support.fakes import Gate
from tests.support.scripted_training import (
    ScriptedTrainer,
    Trainable,
    begin,
    refused_result,
    rows_text,
    send,
    serving,
    wait_for_end,
)

PAGE = (Path(__file__).parent.parent.parent / "docs" / "serving.md").read_text("utf-8")
BAD = '{"prompt": "a", "answer": "b"}\n{"prompt": "a"}\nno JSON\n'


def messages(client, job):
    return [event.message for event in client.fine_tuning.jobs.list_events(job.id)][::-1]


def test_a_training_from_rows_to_an_adapter_that_answers():
    assistant = Trainable()
    with serving(assistant=assistant) as client:
        file = send(client)
        begun = begin(client, training_file=file, seed=7, metadata={"for": "me"})
        assert (begun.status, begun.fine_tuned_model, begun.finished_at) == ("validating_files", None, None)
        job = wait_for_end(client, begun.id)
        assert (job.status, job.error, job.fine_tuned_model) == ("succeeded", None, "phrases")
        assert (job.training_file, job.seed, job.metadata, job.trained_tokens) == (file, 7, {"for": "me"}, 160)
        assert job.created_at <= job.finished_at
        assert job.dlp_local["in_place"]
        assert job.dlp_local["scores"]["new adapter"] == {"rows": 5, "exact": 0.8, "chrf": 0.9}
        assert assistant.refreshed == 1
        answer = client.chat.completions.create(
            model=job.fine_tuned_model, messages=[{"role": "user", "content": "say 3"}]
        )
        assert answer.model == "phrases"
        assert assistant.calls[-1].mix.as_dict() == {"phrases": 1.0}
        assert client.models.retrieve(job.fine_tuned_model).parent == "base"


def test_what_a_client_asks_for_is_what_is_trained_with():
    trainer = ScriptedTrainer()
    with serving(trainer) as client:
        held_out = send(client, rows_text(3), "held.csv.jsonl")
        hyperparameters = {"n_epochs": 4, "batch_size": 3, "learning_rate_multiplier": 0.5}
        extension = {"method": "rslora", "rank": 4, "force": True, "system": "Be brief.", "description": "phrases"}
        job = begin(
            client,
            validation_file=held_out,
            method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            seed=11,
            extra_body={"dlp_local": extension},
        )
        assert job.method.supervised.hyperparameters.n_epochs == 4
        ended = wait_for_end(client, job.id)
    (request,) = trainer.requests
    choices = request.choices
    assert list(request.rows) == ["phrases"]
    assert request.held_out is not None
    assert (choices.epochs, choices.batch_rows, choices.rate, choices.seed) == (4, 3, 1e-3, 11)
    assert (choices.method, choices.rank) == ("rslora", 4)
    assert (request.force, request.system, request.description) == (True, "Be brief.", "phrases")
    assert ended.hyperparameters.model_dump() == hyperparameters
    assert ended.dlp_local["choices"]["batch_tokens"] == 3 * 20


def test_a_training_tells_its_steps_and_keeps_its_losses():
    with serving() as client:
        job = wait_for_end(client, begin(client).id)
        events = list(client.fine_tuning.jobs.list_events(job.id))[::-1]
        warnings = [event.message for event in events if event.level == "warn"]
        assert len(warnings) == 3
        assert warnings[0] == "1 row written twice, counted once"
        metrics = [event.data for event in events if event.type == "metrics"]
        assert [(data["step"], data.get("train_loss"), data["valid_loss"]) for data in metrics] == [
            (0, None, 2.5), (1, 2.0, 2.5), (2, 1.5, 1.75),
        ]  # fmt: skip
        (result,) = job.result_files
        lines = list(csv.DictReader(io.StringIO(client.files.content(result).text)))
        assert lines[-1] == {"step": "2", "train_loss": "1.5", "valid_loss": "1.75"}
        assert client.files.retrieve(result).purpose == "fine-tune-results"
        page = client.fine_tuning.jobs.list_events(job.id, limit=2)
        assert [event.id for event in page.data] == [event.id for event in events[:-3:-1]]
        assert page.has_more
        assert list(client.fine_tuning.jobs.checkpoints.list(job.id)) == []
        raw = client.fine_tuning.jobs.with_raw_response.list_events(job.id).content
        TypeAdapter(FineTuningEventList).validate_json(raw, strict=True)


def test_trainings_wait_for_each_other_and_are_listed_the_newest_first():
    gate = Gate()
    with serving(ScriptedTrainer(gate=gate), trainings=2) as client:
        first = begin(client, metadata={"turn": "1"})
        assert gate.reached.wait(60)
        second = begin(client)
        running = client.fine_tuning.jobs.retrieve(first.id)
        assert (running.status, running.finished_at) == ("running", None)
        assert running.estimated_finish >= running.created_at
        assert [job.id for job in client.fine_tuning.jobs.list(limit=1)] == [second.id, first.id]
        assert [job.id for job in client.fine_tuning.jobs.list(metadata={"turn": "1"})] == [first.id]
        with pytest.raises(openai.RateLimitError, match="trainings run or wait") as refused:
            begin(client)
        assert refused.value.code == "queue_full"
        gate.open()
        assert [wait_for_end(client, job.id).status for job in (first, second)] == ["succeeded"] * 2
        raw = client.fine_tuning.jobs.with_raw_response.list().content
        TypeAdapter(FineTuningJobList).validate_json(raw, strict=True)


def test_a_training_is_cancelled_while_it_runs_and_while_it_waits():
    gate = Gate()
    trainer = ScriptedTrainer(gate=gate)
    with serving(trainer) as client:
        running = begin(client)
        assert gate.reached.wait(60)
        waiting = begin(client)
        assert client.fine_tuning.jobs.cancel(waiting.id).status == "cancelled"
        client.fine_tuning.jobs.cancel(running.id)
        job = wait_for_end(client, running.id)
        assert (job.status, job.error, job.fine_tuned_model) == ("cancelled", None, None)
        with pytest.raises(openai.BadRequestError, match="has ended") as refused:
            client.fine_tuning.jobs.cancel(running.id)
        assert refused.value.code == "training_ended"
        gate.open()
        assert wait_for_end(client, begin(client).id).status == "succeeded"
    assert len(trainer.requests) == 2


def test_the_example_of_the_docs_works(tmp_path, monkeypatch, capsys):
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "fine_tuning" in block)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(rows_text(), "utf-8")
    with serving() as client:
        exec(example.replace("sleep(1)", "sleep(0.01)"), {"client": client})
    assert capsys.readouterr().out == "succeeded phrases None\n"


def test_the_fields_of_a_training_are_those_of_the_docs():
    section = PAGE.partition("\n## Training\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| (.*) \|$", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall("`([a-z_]+)`", row[0])} == FineTuningRequest.model_fields.keys()
    own = dict(rows)["`dlp_local`"]
    assert set(re.findall("`([a-z+_]+)`", own)) == {*TrainingExtension.model_fields, *METHODS_HERE}


@pytest.mark.parametrize(
    ("text", "param", "told"),
    [
        (BAD, "training_file", ["rows.jsonl: 2 rows", "line 2: has no answer", "line 3"]),
        (rows_text(4), "training_file", ["needs 10 rows"]),
        ("\x00\xff" * 9, "training_file", ["line 1"]),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_told_by_their_lines(text, param, told):
    trainer = ScriptedTrainer()
    with serving(trainer) as client:
        job = wait_for_end(client, begin(client, training_file=send(client, text)).id)
        assert (job.status, job.error.param, job.error.code) == ("failed", param, f"invalid_{param}")
        assert all(part in job.error.message for part in told), job.error.message
        assert job.training_file not in job.error.message, "a client's file has the client's name"
        assert messages(client, job)[-1] == job.error.message
    assert not trainer.requests


def test_rows_to_judge_by_that_are_none_are_told_too():
    with serving() as client:
        job = wait_for_end(client, begin(client, validation_file=send(client, BAD, "held.jsonl")).id)
        assert (job.error.param, job.error.code) == ("validation_file", "invalid_validation_file")
        assert job.error.message.startswith("held.jsonl: 2 rows")


def test_rows_that_were_deleted_before_their_turn_are_told():
    gate = Gate()
    with serving(ScriptedTrainer(gate=gate)) as client:
        begin(client)
        assert gate.reached.wait(60)
        file = send(client)
        job = begin(client, training_file=file)
        client.files.delete(file)
        gate.open()
        ended = wait_for_end(client, job.id)
        assert (ended.status, ended.error.code, ended.error.param) == ("failed", "file_not_found", "training_file")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("every row has more than 1024 tokens. Shorten them."), "invalid_value"),
        (PackError("the disk is full. Free some room first."), "pack_failed"),
        (EngineError("the training's process ended (it said nothing)."), "engine_failed"),
        (RuntimeError("a secret of the program"), "internal_error"),
    ],
)
def test_a_training_that_fails_says_why_and_the_next_one_runs(error, code):
    trainer = ScriptedTrainer(error=error)
    with serving(trainer) as client:
        job = wait_for_end(client, begin(client).id)
        assert (job.status, job.error.code, job.fine_tuned_model) == ("failed", code, None)
        assert (str(error) == job.error.message) == (code != "internal_error")
        trainer.error = None
        assert wait_for_end(client, begin(client).id).status == "succeeded"


def test_an_adapter_that_is_not_better_is_told_without_the_messages_of_others():
    assistant = Trainable()
    with serving(ScriptedTrainer(refused_result("a private message")), assistant) as client:
        job = wait_for_end(client, begin(client).id)
        raw = client.fine_tuning.jobs.with_raw_response.retrieve(job.id).text + str(messages(client, job))
    assert (job.status, job.error.code, job.fine_tuned_model) == ("failed", "not_better", None)
    assert "it would take 1 message from others (1 of sql)" in job.error.message
    assert job.dlp_local["routing"]["taken"] == {"sql": 1}
    assert not job.dlp_local["in_place"]
    assert "private" not in raw
    assert assistant.refreshed == 0


def test_an_adapter_that_the_engine_refuses_is_told():
    assistant = Trainable()
    assistant.refuses = EngineError("the adapter does not fit. Train it again.")
    with serving(assistant=assistant) as client:
        job = wait_for_end(client, begin(client).id)
        assert (job.status, job.error.code, job.fine_tuned_model) == ("failed", "engine_failed", None)
        assert len(job.result_files) == 1
