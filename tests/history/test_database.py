"""The file of the history: many programs at once, what cannot be written, and what is damaged."""

import contextlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import Correction, Mix, Route
from dlp_local.history import History, database, open_history
from dlp_local.history.database import DamagedHistoryError
from dlp_local.history.schema import MIGRATIONS

STARTS = 6


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "history.db"


def reply(text, answer):
    route = Route(text, {"sql": 0.7, "base": 0.3}, Mix.of({"sql": 0.75}), 1.5, 0.25)
    return ReplyDone(text, answer, route, "stop", 12, 3, 15, 1024, Timings(1.75, 20.5, 60.25))


def filled(file):
    """A history with one answered turn."""
    with contextlib.closing(History(file)) as history:
        number = history.start(title="kept")
        turn = history.add_turn(number, None, "hello")
        history.finish(turn.id, "hi", reply("hello", "hi"))
        history.set_persona("terse", ChatOptions(system="Be brief."))
    return number


def change(file, statement, *values):
    with sqlite3.connect(file) as connection:
        connection.execute(statement, values)
    connection.close()


def _starts(file, barrier):
    barrier.wait(60)
    with contextlib.closing(History(file)) as history:
        turn = history.add_turn(history.start(), None, "hello")
        history.finish(turn.id, "hi", None)


@pytest.mark.parametrize("version", [0, 1])
def test_several_programs_that_start_at_once_on_a_new_or_an_old_file_all_succeed(file, version):
    file.parent.mkdir()
    if version:
        with sqlite3.connect(file) as connection:
            connection.executescript(MIGRATIONS[0])
            connection.execute("PRAGMA user_version = 1")
        connection.close()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(STARTS)
    programs = [context.Process(target=_starts, args=(file, barrier)) for _ in range(STARTS)]
    for program in programs:
        program.start()
    for program in programs:
        program.join(120)
    assert [program.exitcode for program in programs] == [0] * STARTS
    with contextlib.closing(History(file)) as history:
        assert len(history.conversations()) == len(history.search("hello")) == STARTS


def test_a_file_of_the_first_schema_keeps_all_that_was_in_it(file):
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.executescript(MIGRATIONS[0])
        connection.executescript("""
            PRAGMA user_version = 1;
            INSERT INTO conversations (id, title, created_at, changed_at) VALUES (3, 'old', '2026-01-01', '2026-01-01');
            INSERT INTO turns (id, conversation, text, answer, state, created_at)
                VALUES (8, 3, '请问天气', 'sunny', 'done', '2026-01-01');
            INSERT INTO found (rowid, text, answer) VALUES (8, '请问天气', 'sunny');
            INSERT INTO drafts VALUES (0, 'a new one'), (3, 'half a message'), (99, 'of one that is gone');
            INSERT INTO corrections (text, wrong, right, created_at) VALUES ('cats', '{"shell": 1.0}', 'sql', '2026');
            INSERT INTO personas VALUES ('terse', '{"system": "Be brief."}');
        """)
    connection.close()
    with contextlib.closing(History(file)) as history:
        assert [turn.text for turn in history.conversation(3).turns] == ["请问天气"]
        assert [hit.turn for hit in history.search("天")] == [hit.turn for hit in history.search("sunny")] == [8]
        assert (history.draft(None), history.draft(3)) == ("a new one", "half a message")
        assert history.corrections() == [Correction("cats", Mix.of({"shell": 1.0}), "sql", "", "2026", 1)]
        assert history.personas() == {"terse": ChatOptions(system="Be brief.")}


@pytest.mark.parametrize("damage", ["", "UPDATE turns_fts_data SET block = x'00'", "DROP TABLE turns_fts_idx"])
def test_a_file_of_the_schema_before_is_searched_by_signs_and_widths_whatever_its_index_is(file, damage):
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.create_function("search_text", 1, str)
        for script in MIGRATIONS[:3]:
            connection.executescript(script)
        connection.executescript(f"""
            PRAGMA user_version = 3;
            INSERT INTO conversations (id, title, created_at, changed_at) VALUES (1, 'old', '2026', '2026');
            INSERT INTO turns (conversation, text, created_at) VALUES (1, 'C++', ''), (1, 'ＡＢＣ', '');
            {damage};
        """)
    connection.close()
    with contextlib.closing(History(file)) as history:
        assert [hit.turn for words in ("c++", "abc") for hit in history.search(words)] == [1, 2]


def test_a_correction_of_an_earlier_schema_belongs_to_the_only_pack_that_answered_its_message(file):
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.create_function("search_text", 1, str)
        for script in MIGRATIONS[:2]:
            connection.executescript(script)
        connection.executescript("""
            PRAGMA user_version = 2;
            INSERT INTO conversations (id, title, created_at, changed_at) VALUES (1, 'old', '2026', '2026');
            INSERT INTO turns (conversation, text, pack, created_at) VALUES
                (1, 'cats', 'mine', ''), (1, 'cats', 'mine', ''), (1, 'cats', '', ''),
                (1, 'dogs', 'mine', ''), (1, 'dogs', 'other', '');
            INSERT INTO corrections (text, wrong, right, created_at)
                VALUES ('cats', '{}', 'sql', ''), ('dogs', '{}', 'sql', ''), ('a part of one', '{}', 'sql', '');
        """)
    connection.close()
    with contextlib.closing(History(file)) as history:
        packs = {correction.text: correction.pack for correction in history.corrections()}
    assert packs == {"cats": "mine", "dogs": "", "a part of one": ""}


def test_a_database_of_another_program_is_left_as_it_is(file):
    file.parent.mkdir()
    change(file, "CREATE TABLE notes (text)")
    before = file.read_bytes()
    with pytest.raises(HistoryError, match="another program"):
        History(file)
    history, notice = open_history(file)
    assert "not saved" in notice
    history.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
    connection.close()
    assert len(before) == file.stat().st_size


CALLS = {
    "conversations": lambda history: history.conversations(),
    "conversation": lambda history: history.conversation(1),
    "last": lambda history: history.last(),
    "start": lambda history: history.start(),
    "add_turn": lambda history: history.add_turn(1, None, "text"),
    "write_answer": lambda history: history.write_answer(1, "text"),
    "finish": lambda history: history.finish(1, "text", None),
    "step": lambda history: history.step(1, 1),
    "search": lambda history: history.search("text"),
    "delete": lambda history: history.delete(1),
    "purge": lambda history: history.purge(),
    "draft": lambda history: history.draft(None),
    "set_draft": lambda history: history.set_draft(None, "text"),
    "correct": lambda history: history.correct(Correction("text", Mix(), "sql")),
    "corrections": lambda history: history.corrections(),
    "personas": lambda history: history.personas(),
    "set_persona": lambda history: history.set_persona("name", None),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_after_the_end_is_a_history_error(file, call):
    filled(file)
    history = History(file)
    history.close()
    with pytest.raises(HistoryError, match="was closed"):
        CALLS[call](history)
    history.close()


@pytest.mark.parametrize(
    "receipt", ['{"mix": {}}', "[]", "7", "garbage", b"\xff\x00", '{"mix": {"sql": 9}}', "[" * 100_000, ""]
)
def test_a_conversation_with_a_receipt_of_another_shape_is_shown_without_it(file, receipt):
    number = filled(file)
    change(file, "UPDATE turns SET receipt = ?", receipt)
    with contextlib.closing(History(file)) as history:
        (turn,) = history.conversation(number).turns
    assert (turn.text, turn.answer, turn.done) == ("hello", "hi", None)


@pytest.mark.parametrize("value", ["yesterday", "", b"\xff\xfe", "9" * 5000])
def test_stored_values_of_another_shape_hide_nothing_else(file, value):
    number = filled(file)
    with contextlib.closing(History(file)) as history:
        history.correct(Correction("cats", Mix.of({"shell": 1.0}), "sql"))
    change(file, "UPDATE conversations SET created_at = ?, changed_at = ?, options = ?", value, value, value)
    change(file, "UPDATE personas SET options = ?", value)
    change(file, "UPDATE corrections SET wrong = ?", value)
    with contextlib.closing(History(file)) as history:
        (info,) = history.conversations()
        assert (info.id, info.title, info.options) == (number, "kept", ChatOptions())
        assert info.changed_at == "1970-01-01T00:00:00+00:00"
        assert history.personas() == {"terse": ChatOptions()}
        assert [(c.text, c.wrong) for c in history.corrections()] == [("cats", Mix())]


def test_a_text_with_bytes_that_are_no_utf8_is_shown_with_signs_for_them(file):
    number = filled(file)
    change(file, "UPDATE conversations SET title = CAST(x'61FF62' AS TEXT)")
    with contextlib.closing(History(file)) as history:
        assert history.conversation(number).info.title == "a\ufffdb"


def test_turns_that_are_each_others_parents_end_nothing(file):
    number = filled(file)
    with contextlib.closing(History(file)) as history:
        history.add_turn(number, 1, "second")
    change(file, "UPDATE turns SET parent = 2 WHERE id = 1")
    with contextlib.closing(History(file)) as history:
        assert len(history.conversation(number).path()) == 2
        assert history.step(number, 1) in (1, 2)


def test_a_number_that_no_database_has_is_told(file):
    with contextlib.closing(History(file)) as history, pytest.raises(HistoryError, match="no number"):
        history.conversation(10**30)


def test_half_a_character_is_told(file):
    with contextlib.closing(History(file)) as history, pytest.raises(HistoryError, match="half a character"):
        history.set_draft(None, "\ud800")


def test_a_turn_of_a_conversation_that_was_erased_meanwhile_is_told(file):
    number = filled(file)
    with contextlib.closing(History(file)) as history:
        history.purge(number)
        with pytest.raises(HistoryError, match="deleted elsewhere meanwhile") as error:
            history.add_turn(number, None, "too late")
        assert "FOREIGN" not in str(error.value)


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


def test_many_threads_may_use_one_history(file):
    with contextlib.closing(History(file)) as history:
        number = history.start()
        threads = [
            threading.Thread(target=lambda n=n: [history.add_turn(number, None, f"{n} {m}") for m in range(10)])
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(history.conversation(number).turns) == 80


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


needs_rights = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere, and Windows has no modes"
)


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
    assert history.draft(None) == ""
    history.close()


@needs_rights
@pytest.mark.parametrize("call", ["start", "add_turn", "delete", "set_draft", "correct", "set_persona"])
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
