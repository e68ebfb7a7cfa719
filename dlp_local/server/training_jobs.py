"""Trainings that clients ask for: their rows are checked, they wait, and run one at a time beside the answers."""

from __future__ import annotations

import io
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from dlp_local.assistant import Assistant
from dlp_local.core.errors import DlpLocalError, InputError
from dlp_local.core.job import Job
from dlp_local.core.text import visible
from dlp_local.server.errors import ApiError, as_api_error
from dlp_local.server.file_store import FileStore, StoredFile
from dlp_local.server.log import log_unexpected
from dlp_local.server.requests.fine_tuning import FineTuningRequest
from dlp_local.server.training_notices import failure_of, failure_of_error, losses_csv, notices_of
from dlp_local.server.training_records import (
    INTERRUPTED,
    UNFINISHED,
    Failure,
    Notice,
    Status,
    TrainingRecord,
    TrainingRecords,
)
from dlp_local.training.adapter.events import FitProgress, Prepared, Stopped, Trained, TrainingEvent, TrainingRequest
from dlp_local.training.adapter.process import train_in_process
from dlp_local.training.adapter.rows import TrainingRow, read_training_rows, split_rows
from dlp_local.training.adapter.torch_extra import require_torch

LAST_SECONDS = 20.0
"""That a training has, at the server's end, to keep what it reached; what takes longer ends by itself."""


RESULTS = "step_metrics.csv"
"""What OpenAI calls the losses of a training."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """What trains; `check` raises `InputError` where it is not installed."""

    train: Callable[[TrainingRequest], Job[TrainingEvent]] = train_in_process
    check: Callable[[], None] = require_torch


IN_PROCESS = Trainer()
"""Trains in a process of its own: no torch is loaded in the server."""


class _FailedError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class TrainingJobs:
    """The trainings of one server; may be used from any thread. Owners see their own alone."""

    def __init__(
        self, assistant: Assistant, files: FileStore, records: TrainingRecords, trainer: Trainer, most: int
    ) -> None:
        """`most`: that run or wait."""
        self._assistant, self._files, self._records = assistant, files, records
        self._trainer, self._most = trainer, most
        self._lock = threading.RLock()
        self._checks = ThreadPoolExecutor(1, "rows")
        self._waiting = queue.SimpleQueue[str | None]()
        self._worker: threading.Thread | None = None
        self._running: tuple[str, Job[TrainingEvent]] | None = None
        self._expected_end: tuple[str, float] | None = None
        self._is_closed = False

    def check_trainer(self) -> None:
        """Raises `InputError` where what trains is not installed."""
        self._trainer.check()

    def create(self, owner: str, asked: FineTuningRequest) -> TrainingRecord:
        """Begins a training: its rows are checked, and it waits. Raises `ApiError` where none may, or too many do."""
        if not self._most:
            raise ApiError(403, "nobody may train here (server.trainings is 0).", code="training_not_allowed")
        with self._lock:
            if sum(record.status in UNFINISHED for record in self._records.all()) >= self._most:
                raise ApiError(
                    429, f"{self._most} trainings run or wait (server.trainings). Cancel one, or ask again later.",
                    code="queue_full",
                )  # fmt: skip
            record = TrainingRecord(f"ftjob-{secrets.token_hex(12)}", owner, asked, time.time())
            self._records.add(record)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="trainings", daemon=True)
                self._worker.start()
            self._checks.submit(self._guarded, record.id, self._check)
        return record

    def all(self, owner: str) -> list[TrainingRecord]:
        """The trainings of an owner, the newest first."""
        return [record for record in self._records.all() if record.owner == owner]

    def get(self, owner: str, number: str) -> TrainingRecord | None:
        """The training of this id; None where its owner has none."""
        record = self._records.get(number)
        return record if record and record.owner == owner else None

    def expected_end(self, number: str) -> float | None:
        """When a training will probably end, in seconds since 1970; None where that is not known."""
        expected = self._expected_end
        return expected[1] if expected and expected[0] == number else None

    def notices(self, number: str) -> list[Notice]:
        """What a training told, in order."""
        return self._records.notices(number)

    def cancel(self, record: TrainingRecord) -> TrainingRecord:
        """Ends a training: at once where it waits, else as soon as it has kept what it reached.

        Raises `ApiError` for one that has ended.
        """
        with self._lock:
            now = self._records.get(record.id) or record
            if now.status not in UNFINISHED:
                raise ApiError(400, f"this training has ended ({now.status}).", code="training_ended")
            if self._running and self._running[0] == now.id:
                self._running[1].cancel()
                self._records.tell(now.id, Notice("info", "it is being cancelled, and keeps what it reached"))
            else:
                self._records.end(now, "cancelled")
            return self._records.get(now.id) or now

    def close(self) -> None:
        """Ends what runs, which keeps what it reached; what has not ended counts as interrupted."""
        with self._lock:
            self._is_closed = True
            if self._running:
                self._running[1].cancel()
        self._checks.shutdown(cancel_futures=True)
        if self._worker:
            self._waiting.put(None)
            self._worker.join(LAST_SECONDS)
            with self._lock:
                self._records.interrupt_all()

    def _work(self) -> None:
        while (number := self._waiting.get()) is not None:
            self._guarded(number, self._run)

    def _guarded(self, number: str, step: Callable[[TrainingRecord], None]) -> None:
        """Takes a training a step further; whatever goes wrong is how that training ended, and no more."""
        try:
            with self._lock:
                record = self._records.get(number)
            if record and record.status in UNFINISHED:
                step(record)
        except _FailedError as error:
            self._fail(number, error.failure)
        except DlpLocalError as error:
            self._fail(number, failure_of_error(error))
        except ApiError as error:
            self._fail(number, Failure(error.code or "invalid_value", error.message, error.param))
        except Exception as error:
            log_unexpected(error)
            self._fail(number, Failure("internal_error", as_api_error(error).message))

    def _fail(self, number: str, failure: Failure) -> None:
        with self._lock:
            record = self._records.get(number)
            if record and record.status in UNFINISHED:
                self._records.end(record, "failed", failure)

    def _check(self, record: TrainingRecord) -> None:
        """Reads a training's rows before it waits, so that bad ones are told at once."""
        asked = record.asked
        self._records.tell(record.id, Notice("info", "the rows are being read"))
        rows = self._rows(record.owner, asked.training_file, "training_file")
        held_out = self._rows(record.owner, asked.validation_file, "validation_file") if asked.validation_file else None
        try:
            split_rows(rows, held_out)
        except InputError as error:
            raise _FailedError(Failure("invalid_training_file", str(error), "training_file")) from None
        with self._lock:
            now = self._records.get(record.id)
            if now and now.status == "validating_files":
                self._records.save(replace(now, status="queued"))
                self._records.tell(record.id, Notice("info", "the rows are good; it waits for its turn"))
                self._waiting.put(record.id)

    def _rows(self, owner: str, number: str, param: str) -> tuple[TrainingRow, ...]:
        file, path = self._file(owner, number, param)
        try:
            return read_training_rows(path).rows
        except InputError as error:
            told = str(error).replace(str(path), visible(file.name))
            raise _FailedError(Failure(f"invalid_{param}", told, param)) from None

    def _file(self, owner: str, number: str, param: str) -> tuple[StoredFile, Path]:
        file = self._files.get(owner, number)
        if file is None:
            raise _FailedError(Failure("file_not_found", f"{param}: was deleted meanwhile. Send it again.", param))
        return file, self._files.path(file)

    def _run(self, record: TrainingRecord) -> None:
        job = self._trainer.train(self._request(record))
        with self._lock:
            now = self._records.get(record.id)
            if self._is_closed or now is None or now.status != "queued":
                return
            self._running = record.id, job
        try:
            record = replace(record, status="running")
            self._records.save(record)
            self._records.tell(record.id, Notice("info", "the training begins"))
            self._follow(record, job)
        finally:
            job.close()
            with self._lock:
                self._running = self._expected_end = None

    def _request(self, record: TrainingRecord) -> TrainingRequest:
        asked, extension = record.asked, record.asked.dlp_local
        held_out = asked.validation_file and self._file(record.owner, asked.validation_file, "validation_file")[1]
        return TrainingRequest(
            self._assistant.pack_folder,
            {asked.suffix: self._file(record.owner, asked.training_file, "training_file")[1]},
            asked.choices(),
            held_out or None,
            extension.system,
            extension.description,
            extension.force,
            extension.restart,
        )

    def _follow(self, record: TrainingRecord, job: Job[TrainingEvent]) -> None:
        """Keeps what a training tells, up to how it ends."""
        progress: list[FitProgress] = []
        for event in job:
            for notice in notices_of(event):
                self._records.tell(record.id, notice)
            match event:
                case Prepared():
                    record = replace(record, prepared=event)
                    self._records.save(record)
                case FitProgress():
                    progress.append(event)
                    self._expected_end = record.id, time.time() + event.seconds_left
                case Stopped() if self._is_closed:
                    self._end(record, "failed", INTERRUPTED)
                case Stopped():
                    self._end(record, "cancelled")
                case Trained():
                    self._finish(record, event, progress)

    def _finish(self, record: TrainingRecord, trained: Trained, progress: Sequence[FitProgress]) -> None:
        """Keeps what came of a training; an adapter that is in its place answers from now on."""
        result = trained.results[record.asked.suffix]
        losses = losses_csv(progress)
        record = replace(record, trained=trained)
        try:
            file = self._files.add(record.owner, RESULTS, "fine-tune-results", io.BytesIO(losses), len(losses))
            record = replace(record, result_files=(file.id,))
        except ApiError as error:  # the adapter counts for more than its curve
            self._records.tell(record.id, Notice("warn", f"the losses are not kept: {error.message}"))
        self._records.save(record)
        if result.in_place:
            self._assistant.refresh()
        failure = failure_of(result)
        self._end(record, "failed" if failure else "succeeded", failure)

    def _end(self, record: TrainingRecord, status: Status, failure: Failure | None = None) -> None:
        """Keeps how a training ended that ran, not while `cancel` looks at it."""
        with self._lock:
            self._records.end(record, status, failure)
