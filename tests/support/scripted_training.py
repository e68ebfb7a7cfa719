"""A stand-in for trainings, at the seam where a process with torch would be started."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import openai

from dlp_local.core.job import Cancellation, Job
from dlp_local.core.values import AdapterInfo
from dlp_local.server.training_jobs import Trainer
from dlp_local.training.adapter.events import (
    FitProgress,
    Prepared,
    RoutingEffect,
    Score,
    Stage,
    Stopped,
    TaskResult,
    TaskRows,
    Trained,
    TrainingEvent,
    TrainingRequest,
)
from tests.support.fakes import PATIENCE, FakeAssistant, Gate
from tests.support.http_server import running_server

BETTER = {"base": Score(5, 0.0, 0.2), "pack today": Score(5, 0.2, 0.4), "new adapter": Score(5, 0.8, 0.9)}
GOOD = TaskResult(BETTER, RoutingEffect(0.9, 200, (), 0, 0.01), refused="", replaced=False, in_place=True)


class ScriptedTrainer:
    """Tells what a training of two steps tells; at the gate it stops before its end until a test opens that."""

    def __init__(self, result: TaskResult = GOOD, gate: Gate | None = None, error: Exception | None = None) -> None:
        self.result, self.gate, self.error = result, gate, error
        self.requests: list[TrainingRequest] = []
        self.missing: Exception | None = None

    @property
    def trainer(self) -> Trainer:
        return Trainer(self._train, self._check)

    def _check(self) -> None:
        if self.missing:
            raise self.missing

    def _train(self, request: TrainingRequest) -> Job[TrainingEvent]:
        self.requests.append(request)
        return Job(lambda cancellation: self._events(request, cancellation))

    def _events(self, request: TrainingRequest, cancellation: Cancellation) -> Generator[TrainingEvent, None, None]:
        (name,) = request.rows
        rows = TaskRows(train=8, held_out=2, tokens=160, duplicates=1, leaked=0, ambiguous=0, too_long=0)
        yield Prepared({name: rows}, request.choices.for_rows(8, 20), "cpu", 700_000_000, 600_000_000, False, True)
        yield Stage("answering held-out rows: base", 0.0)
        yield FitProgress(0, 2, 0, 1, None, 2.5, 2.5, 100.0, 3.0)
        yield FitProgress(1, 2, 0, 1, 2.0, 2.5, 2.5, 100.0, 2.0)
        if self.gate:
            with cancellation.forwarded(self.gate.break_off):
                self.gate.wait()
        if self.error:
            raise self.error
        if cancellation.requested:
            yield Stopped(1, 2)
            return
        yield FitProgress(2, 2, 1, 1, 1.5, 1.75, 1.75, 100.0, 0.0)
        yield Trained({name: self.result}, (2.5, 1.75), 2, 1.6, 100.0, 3.0, "whole")


class Trainable(FakeAssistant):
    """Finds an adapter of the name `phrases` in its pack, once it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.refreshed = 0
        self.refuses: Exception | None = None

    def refresh(self) -> None:
        self.refreshed += 1
        if self.refuses:
            raise self.refuses
        self._have([*self.pack_adapters, AdapterInfo("phrases", "trained")])


def refused_result(reason_text: str = "a private message") -> TaskResult:
    """What comes of an adapter that takes a message of another one, and is not put in place."""
    effect = RoutingEffect(0.9, 200, (("sql", reason_text),), 1, 0.0)
    return replace(GOOD, routing=effect, refused=f"it would take 1 message ({reason_text!r})", in_place=False)


def rows_text(count: int = 12) -> str:
    """So many rows that can be learnt from, as JSONL."""
    return "".join(
        json.dumps({"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"{n}!"}]})
        + "\n"
        for n in range(count)
    )


@contextmanager
def serving(trainer=None, assistant=None, **options):
    """A client of a server that trains with a script, and the script."""
    trainer = trainer or ScriptedTrainer()
    with (
        running_server(assistant or Trainable(), trainer.trainer, **options) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0, timeout=60) as client,
    ):
        yield client


def send(client, text=None, name="rows.jsonl"):
    """The id of a file of rows that is sent."""
    return client.files.create(file=(name, (text or rows_text()).encode()), purpose="fine-tune").id


def begin(client, **asked):
    """Asks for a training, of rows that are sent first where none are named."""
    own = {"training_file": asked.pop("training_file", None) or send(client), "model": "base", "suffix": "phrases"}
    return client.fine_tuning.jobs.create(**own | asked)


def wait_for_end(client, number, patience=PATIENCE):
    """A training, once it has ended, as OpenAI's client has it."""
    end = time.monotonic() + patience
    while (job := client.fine_tuning.jobs.retrieve(number)).status in ("validating_files", "queued", "running"):
        assert time.monotonic() < end, f"the training has not ended, and is {job.status}"
        time.sleep(0.01)
    return job
