"""A training that ends just as it is cancelled, or its server ends: an adapter in its place has succeeded."""

import threading
import time
from dataclasses import replace

import pytest

from dlp_local.core.paths import serving_folder
from dlp_local.server import training_jobs
from dlp_local.server.file_store import FileStore
from dlp_local.server.kept_folder import KeptFolder
from dlp_local.server.requests.fine_tuning import FineTuningRequest
from dlp_local.server.training_jobs import TrainingJobs
from dlp_local.server.training_records import TrainingRecords
from tests.support.fakes import PATIENCE, Gate
from tests.support.scripted_training import ScriptedTrainer, Trainable, rows_text

OWNER = "somebody"
BLINK = 0.3
"""Seconds for something that must not happen."""


class Watched(TrainingRecords):
    """Records in which a test does something while one thread reads them, or compares the id of what it read."""

    thread, while_read, while_compared = None, staticmethod(lambda: None), staticmethod(lambda: None)

    def get(self, number):
        record = super().get(number)
        if threading.current_thread() is not self.thread:
            return record
        self.while_read()
        return replace(record, id=ComparedId(record.id, self.while_compared))

    def all(self):
        found = super().all()
        if threading.current_thread() is self.thread:
            self.while_read()
        return found


class ComparedId(str):
    """An id with which something is done while it is compared."""

    def __new__(cls, text, while_compared):
        made = super().__new__(cls, text)
        made.while_compared = while_compared
        return made

    def __eq__(self, other):
        self.while_compared()
        return str(self) == str(other)

    __hash__ = str.__hash__


class Gated(Trainable):
    """Takes an adapter over when a test lets it."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()

    def refresh(self):
        self.gate.wait()
        super().refresh()


@pytest.fixture
def assistant():
    return Gated()


@pytest.fixture
def kept():
    folder = KeptFolder(serving_folder("bundled"))
    yield folder
    folder.close()


@pytest.fixture
def records(kept):
    return Watched(kept)


@pytest.fixture
def files(kept):
    return FileStore(kept, 1 << 20)


@pytest.fixture
def jobs(assistant, files, records):
    jobs = TrainingJobs(assistant, files, records, ScriptedTrainer().trainer, 4)
    yield jobs
    assistant.gate.open()
    jobs.close()


@pytest.fixture
def running(jobs, files, assistant, records, tmp_path):
    """A training whose adapter is in its place, and about to be taken over; the records watch this thread from then."""
    path = tmp_path / "rows.jsonl"
    path.write_text(rows_text(), "utf-8")
    with path.open("rb") as source:
        file = files.add(OWNER, path.name, "fine-tune", source, path.stat().st_size)
    record = jobs.create(OWNER, FineTuningRequest(training_file=file.id, model="base", suffix="phrases"))
    assert assistant.gate.reached.wait(PATIENCE)
    records.thread = threading.current_thread()
    return record


@pytest.fixture
def let_it_end(jobs, assistant, running):
    def let_it_end(seconds=BLINK):
        """Has the training end, and waits for that so long."""
        assistant.gate.open()
        end = time.monotonic() + seconds
        while jobs.expected_end(running.id) and time.monotonic() < end:
            time.sleep(0.01)

    return let_it_end


@pytest.mark.parametrize("moment", ["while_read", "while_compared"])
def test_a_training_that_ends_while_it_is_looked_at_for_a_cancel_has_succeeded(
    jobs, records, running, let_it_end, moment
):
    setattr(records, moment, let_it_end)
    assert jobs.cancel(running).status in ("running", "succeeded")
    records.thread = None
    let_it_end(PATIENCE)
    assert jobs.get(OWNER, running.id).status == "succeeded"
    assert [notice.message for notice in jobs.notices(running.id)][-1] == "the training has succeeded"


def test_a_training_that_ends_after_the_server_waited_for_it_has_succeeded(
    jobs, records, running, let_it_end, monkeypatch
):
    monkeypatch.setattr(training_jobs, "LAST_SECONDS", 0)
    records.while_read = let_it_end
    jobs.close()
    records.thread = None
    let_it_end(PATIENCE)
    assert jobs.get(OWNER, running.id).status == "succeeded"
