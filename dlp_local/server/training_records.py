"""Trainings as a server keeps them: a record of each on disk, and beside it what it told while it ran."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from dlp_local.core.errors import InputError
from dlp_local.core.files import written_aside
from dlp_local.server.errors import ApiError
from dlp_local.server.kept_folder import KeptFolder, disk_told
from dlp_local.server.requests.fine_tuning import FineTuningRequest
from dlp_local.training.adapter.events import Prepared, Trained

Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
Level = Literal["info", "warn", "error"]
UNFINISHED: frozenset[Status] = frozenset({"validating_files", "queued", "running"})
MOST_FINISHED = 500
"""Trainings that are remembered; the oldest that have ended are forgotten."""

_ID = re.compile(r"ftjob-[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training did not succeed; `param`: the field of its request that has to change."""

    code: str
    message: str
    param: str | None = None


@with_config(ConfigDict(ser_json_inf_nan="constants"))
@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One training, as far as it is.

    In its file the losses of one that diverged are Python's `Infinity` and `NaN`, which are read back; no client is
    sent them.
    """

    id: str
    owner: str
    asked: FineTuningRequest
    created: float
    status: Status = "validating_files"
    prepared: Prepared | None = None
    ended: float | None = None
    trained: Trained | None = None
    failure: Failure | None = None
    result_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """What a training told, and when; `data` are numbers, where it is of type `metrics`."""

    level: Level
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)
    type: Literal["message", "metrics"] = "message"
    created: float = field(default_factory=time.time)


_RECORD, _NOTICE = TypeAdapter(TrainingRecord), TypeAdapter(Notice)
INTERRUPTED = Failure("interrupted", "the server ended meanwhile. Create it again: it goes on from where it was.")


class TrainingRecords:
    """The records of one server; may be used from any thread.

    What is asked for raises `ApiError` where the disk fails. A training that has begun is not lost by that: how it goes
    on then holds for this server alone, and lines that it tells are missing.
    """

    def __init__(self, folder: KeptFolder) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._records: dict[str, TrainingRecord] | None = None

    def all(self) -> list[TrainingRecord]:
        """Every training, the newest first."""
        with self._lock:
            return list(reversed(self._read().values()))

    def get(self, number: str) -> TrainingRecord | None:
        """The training of this id."""
        with self._lock:
            return self._read().get(number)

    def add(self, record: TrainingRecord) -> None:
        """Keeps a new record, and forgets the oldest."""
        with self._lock, disk_told():
            records = self._read()
            self._write(record)
            records[record.id] = record
            finished = [one.id for one in records.values() if one.status not in UNFINISHED]
            for number in finished[:-MOST_FINISHED]:
                self._forget(number)

    def save(self, record: TrainingRecord) -> None:
        """Puts a record in the place of the one before."""
        with self._lock:
            self._read()[record.id] = record
            with suppress(OSError, ApiError):
                self._write(record)

    def _write(self, record: TrainingRecord) -> None:
        with written_aside(self._file(record.id)) as part:
            part.write_bytes(_RECORD.dump_json(record))

    def tell(self, number: str, notice: Notice) -> None:
        """Adds a line to what a training told. A line that was cut off in the middle spoils none after it."""
        with self._lock, suppress(OSError, ApiError), self._told(number).open("ab") as file:
            file.write(b"\n" + _NOTICE.dump_json(notice))

    def notices(self, number: str) -> list[Notice]:
        """What a training told, in order."""
        with self._lock, disk_told():
            lines = self._told(number).read_bytes().split(b"\n") if self._told(number).exists() else []
        return [notice for line in lines if (notice := _notice(line))]

    def _forget(self, number: str) -> None:
        self._file(number).unlink(missing_ok=True)
        self._told(number).unlink(missing_ok=True)
        del self._read()[number]

    def _file(self, number: str) -> Path:
        return self._folder.taken("trainings") / f"{number}.json"

    def _told(self, number: str) -> Path:
        return self._folder.taken("trainings") / f"{number}.events.jsonl"

    def _read(self) -> dict[str, TrainingRecord]:
        """The records by their ids, the oldest first; the first time those that were cut off are marked as such."""
        if self._records is None:
            folder = self._folder.taken("trainings")
            with disk_told():
                for left in folder.glob("*.part.json"):
                    left.unlink()
                found = [record for path in folder.glob("ftjob-*.json") if (record := _record(path))]
            self._records = {record.id: record for record in sorted(found, key=lambda record: record.created)}
            self.interrupt_all()
        return self._records

    def interrupt_all(self) -> None:
        """Marks those that have not ended as cut off."""
        for record in self.all():
            if record.status in UNFINISHED:
                self.end(record, "failed", INTERRUPTED)

    def end(self, record: TrainingRecord, status: Status, failure: Failure | None = None) -> None:
        """Keeps how a training ended, and tells it."""
        ended = replace(record, status=status, failure=failure, ended=time.time())
        self.save(ended)
        said = "the training has succeeded" if status == "succeeded" else f"the training is {status}"
        self.tell(record.id, Notice("error", failure.message) if failure else Notice("info", said))


def _record(path: Path) -> TrainingRecord | None:
    """A kept record; None for one that is damaged."""
    try:
        record = _RECORD.validate_json(path.read_bytes())
    except (ValidationError, InputError):
        return None
    return record if _ID.fullmatch(record.id) and record.id == path.stem else None


def _notice(line: bytes) -> Notice | None:
    try:
        return _NOTICE.validate_json(line) if line else None
    except ValidationError:
        return None
