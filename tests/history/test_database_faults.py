"""Damage, locks, full disks and files that may only be read: each is told, and nothing stored is lost."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.history import History, database, open_history
from dlp_local.history.database import DamagedHistoryError
from tests.support.history_files import CALLS, filled

needs_rights = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere, and Windows has no modes"
)


def test_damage_within_the_file_is_told_as_damage(file):
    number = filled(file)
    with contextlib.closing(History(file)) as history:
        for index in range(200):
            history.add_turn(number, None, f"{index} " * 200)
    content = bytearray(file.read_bytes())
    content[4096 * 3 :] = os.urandom(len(content) - 4096 * 3)
    file.write_bytes(content)
    with pytest.raises(DamagedHistoryError, match=r"damaged .*Move the file away"):
        History(file).conversation(number)


def test_another_programs_lock_is_told_as_one(file, monkeypatch):
    filled(file)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with contextlib.closing(History(file)) as history:
        with pytest.raises(HistoryError, match=r"locked.*Another program is using it"):
            history.set_persona("x", ChatOptions())
        assert list(history.personas()) == ["terse"]
        other.execute("ROLLBACK")
        history.set_persona("x", ChatOptions())
    other.close()


WRITES_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from dlp_local.core.errors import HistoryError
from dlp_local.history import History
history = History(Path(sys.argv[1]))
number = history.start()
history.add_turn(number, None, "kept")
size = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    history.add_turn(number, None, "too much " * 100_000)
except HistoryError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
history.add_turn(number, None, "goes on")
print([turn.text for turn in history.conversation(number).turns])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_is_told_and_what_was_stored_before_stays(file):
    process = subprocess.run(
        [sys.executable, "-c", WRITES_UNDER_A_LIMIT, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    told, texts = process.stdout.splitlines()
    assert "the disk is full" in told
    assert texts == "['kept', 'goes on']"


def test_a_folder_in_the_place_of_the_file_is_told(file):
    file.mkdir(parents=True)
    with pytest.raises(HistoryError, match=r"history\.db: .*is a folder.*set DLP_LOCAL_DATA to another folder"):
        History(file)


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "data").write_text("mine")
    for path in (tmp_path / "data" / "history.db", tmp_path / "data" / "deeper" / "history.db"):
        with pytest.raises(HistoryError, match=r"is no folder.*set DLP_LOCAL_DATA"):
            History(path)
    assert (tmp_path / "data").read_text() == "mine"


@pytest.fixture
def read_only(file):
    filled(file)
    file.chmod(0o444)
    file.parent.chmod(0o555)
    yield file
    file.parent.chmod(0o755)


@needs_rights
def test_what_only_reads_works_on_a_history_that_may_not_be_written_to(read_only):
    history, notice = open_history(read_only)
    assert "may only be read" in notice
    assert [info.title for info in history.conversations()] == ["kept"]
    assert history.conversation(1).turns[0].answer == "hi"
    assert len(history.search("hello")) == 1
    assert list(history.personas()) == ["terse"]
    assert history.corrections() == []
    assert history.lessons() == []
    assert history.draft(None) == ""
    history.close()


@needs_rights
@pytest.mark.parametrize("call", ["start", "add_turn", "delete", "set_draft", "correct", "add_lessons", "set_persona"])
def test_what_writes_on_a_history_that_may_only_be_read_is_told_with_the_reason(read_only, call):
    history = History(read_only)
    with pytest.raises(HistoryError, match=r"readonly.*right to read and write"):
        CALLS[call](history)
    history.close()


@needs_rights
def test_a_file_that_may_not_even_be_read_is_told(file):
    filled(file)
    file.chmod(0)
    with pytest.raises(HistoryError, match="right to read and write"):
        History(file)


READS_WITHOUT_ROOM = """
import os, resource, sys
from pathlib import Path
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.history import History, open_history
file = Path(sys.argv[1])
history = History(file)
history.add_turn(history.start(), None, "the last words")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
if sys.argv[2] == "closed":
    history.close()
else:  # as after a power cut: what was said last is in the write-ahead log alone
    kept = {each: each.read_bytes() for each in (file, Path(f"{file}-wal"))}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    history.close()
    for each, content in kept.items():
        each.write_bytes(content)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
before = {each.name: each.read_bytes() for each in file.parent.iterdir()}
history, notice = open_history(file)
print(notice)
print([info.title for info in history.conversations()], history.conversation(1).turns[0].answer)
print(len(history.search("hello")), len(history.search("last")), len(history.search("nothinglikeit")))
try:
    history.set_persona("x", ChatOptions())
except HistoryError as error:
    print(error)
history.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
history, notice = open_history(file)
print(repr(notice), [info.title for info in history.conversations()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("end", ["closed", "cut off"])
def test_what_only_reads_works_on_a_full_disk_with_all_that_was_stored(file, end):
    filled(file)
    command = [sys.executable, "-c", READS_WITHOUT_ROOM, str(file), end]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    notice, conversations, hits, told, afterwards = process.stdout.splitlines()
    assert "can only be read, for the disk is full. This chat is not saved." in notice
    assert conversations == "['the last words', 'kept'] hi"
    assert hits == "1 1 0"
    assert "nothing can be stored, for the disk is full" in told
    assert afterwards == "'' ['the last words', 'kept']"


def test_a_path_that_no_file_system_takes_is_told(tmp_path):
    for path in (tmp_path / ("x" * 300) / "history.db", tmp_path / ("x" * 300)):
        history, notice = open_history(path)
        assert "set DLP_LOCAL_DATA to another folder" in notice
        history.close()
