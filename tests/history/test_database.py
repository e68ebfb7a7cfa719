"""The file of the history: many programs at once, what cannot be written, and what is damaged."""

import contextlib
import multiprocessing
import sqlite3
import threading

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.core.values import Correction, Mix
from dlp_local.history import History, open_history
from dlp_local.history.schema import MIGRATIONS
from tests.support.history_files import CALLS, change, filled

STARTS = 6


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
