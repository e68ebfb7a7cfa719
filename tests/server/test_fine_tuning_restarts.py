"""Trainings outlive their server: those that ended as they were, the others as interrupted."""

import errno
import os

import openai
import pytest

from dlp_local.core.paths import serving_folder
from tests.support.fakes import Gate
from tests.support.http_server import running_server
from tests.support.scripted_training import ScriptedTrainer, Trainable, begin, serving, wait_for_end

KEY, OTHER = "first-key-of-the-tests", "second-key-of-the-tests"


def records():
    return serving_folder("bundled") / "trainings"


def test_a_training_that_ended_is_there_after_a_restart():
    with serving() as client:
        before = wait_for_end(client, begin(client, metadata={"for": "me"}).id)
        told = list(client.fine_tuning.jobs.list_events(before.id))
    with serving() as client:
        assert client.fine_tuning.jobs.retrieve(before.id) == before
        assert list(client.fine_tuning.jobs.list_events(before.id)) == told
        assert [job.id for job in client.fine_tuning.jobs.list()] == [before.id]
        assert client.files.content(before.result_files[0]).text.startswith("step,")


def test_the_end_of_the_server_interrupts_what_runs_and_what_waits():
    gate = Gate()
    with serving(ScriptedTrainer(gate=gate)) as client:
        ids = [begin(client).id]
        assert gate.reached.wait(60)
        ids.append(begin(client).id)
    with serving() as client:
        for job in map(client.fine_tuning.jobs.retrieve, ids):
            assert (job.status, job.error.code) == ("failed", "interrupted")
            assert "Create it again" in job.error.message
            assert job.finished_at >= job.created_at
        assert wait_for_end(client, begin(client).id).status == "succeeded"


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_a_training_that_a_killed_server_left_is_interrupted(status):
    with serving() as client:
        job = wait_for_end(client, begin(client).id)
    record, told = records() / f"{job.id}.json", records() / f"{job.id}.events.jsonl"
    left = record.read_text("utf-8").replace('"status":"succeeded"', f'"status":"{status}"')
    record.write_text(left, "utf-8")
    told.write_bytes(told.read_bytes()[:-9])
    (records() / f"{job.id}-0123abcd.part.json").write_text("half", "utf-8")
    (records() / f"ftjob-{'0' * 24}.json").write_text('{"id": "ftjob', "utf-8")
    with serving() as client:
        (interrupted,) = client.fine_tuning.jobs.list()
        assert (interrupted.id, interrupted.status, interrupted.error.code) == (job.id, "failed", "interrupted")
        last, *others = client.fine_tuning.jobs.list_events(job.id)
        assert last.message == interrupted.error.message
        assert len(others) > 3, "the line that was cut off spoils none beside it"
    assert not list(records().glob("*.part*"))


def test_a_training_is_its_owners_alone(tmp_path):
    (tmp_path / "keys").write_text(f"{KEY}\n{OTHER}\n", "utf-8")
    options = {"api_key_file": str(tmp_path / "keys")}
    with running_server(Trainable(), ScriptedTrainer().trainer, **options) as running:
        mine, others = (openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0) for key in (KEY, OTHER))
        job = wait_for_end(mine, begin(mine).id)
        jobs = others.fine_tuning.jobs
        assert list(jobs.list()) == []
        for ask in (jobs.retrieve, jobs.cancel, jobs.list_events, jobs.checkpoints.list):
            with pytest.raises(openai.NotFoundError):
                ask(job.id)
        with pytest.raises(openai.BadRequestError, match="no file of rows"):
            begin(others, training_file=job.training_file)
        with pytest.raises(openai.NotFoundError):
            others.files.content(job.result_files[0])


def test_the_oldest_trainings_are_forgotten(monkeypatch):
    monkeypatch.setattr("dlp_local.server.training_records.MOST_FINISHED", 2)
    with serving() as client:
        ids = [wait_for_end(client, begin(client).id).id for _ in range(4)]
        assert [job.id for job in client.fine_tuning.jobs.list()] == ids[:0:-1], "one that begins forgets the others"
    assert len(list(records().iterdir())) == 6


def test_a_full_disk_refuses_a_training_and_loses_none_that_runs(monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    gate = Gate()
    with serving(ScriptedTrainer(gate=gate)) as client:
        job, waiting = begin(client), begin(client)
        assert gate.reached.wait(60)
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", fails)
            with pytest.raises(openai.InternalServerError, match="disk is full") as refused:
                begin(client, training_file=job.training_file)
            assert (refused.value.status_code, refused.value.code) == (507, "disk_full")
            gate.open()
            ended = [wait_for_end(client, one.id) for one in (job, waiting)]
        assert [(one.status, one.fine_tuned_model) for one in ended] == [("succeeded", "phrases")] * 2
        assert [job.result_files for job in ended] == [[], []]
        assert {one.id for one in client.fine_tuning.jobs.list()} == {job.id, waiting.id}
        assert "not kept" in str([event.message for event in client.fine_tuning.jobs.list_events(job.id)])
