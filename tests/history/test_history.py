"""Stored conversations: what was written is there, however the program ended."""

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import stat
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.core.values import Correction, Mix
from dlp_local.history import History, open_history
from dlp_local.history.model import BROKEN_OFF, alternatives, messages, newest_leaf, path, title_of
from dlp_local.history.schema import MIGRATIONS, VERSION
from tests.support.history_files import reply


@pytest.fixture
def history(file):
    opened = History(file)
    yield opened
    opened.close()


def said(history, conversation, parent, text, answer="yes"):
    turn = history.add_turn(conversation, parent, text)
    history.finish(turn.id, answer, reply(text, answer))
    return turn.id


def test_what_was_stored_is_there_when_the_file_is_opened_again(file):
    history = History(file)
    number = history.start(ChatOptions(temperature=0.5, pinned={"sql": 0.5}))
    turn = history.add_turn(number, None, "How many?\ncolumns: a", "bundled")
    history.write_answer(turn.id, "SEL")
    done = reply("How many?\ncolumns: a", "SELECT a")
    history.finish(turn.id, "SELECT a", done)
    history.close()
    again = History(file)
    conversation = again.conversation(number)
    assert conversation.turns[0].done == done
    assert (conversation.turns[0].answer, conversation.turns[0].state) == ("SELECT a", "done")
    assert conversation.info.title == "How many?"
    assert conversation.info.options == ChatOptions(temperature=0.5, pinned={"sql": 0.5})
    assert conversation.path() == conversation.turns
    again.close()


def test_an_edited_message_and_another_answer_are_branches_of_one_tree(history):
    number = history.start()
    first = said(history, number, None, "one")
    second = said(history, number, first, "two")
    third = said(history, number, second, "three")
    edited = said(history, number, first, "two, edited")
    turns = history.conversation(number).turns
    assert history.conversation(number).info.tip == edited
    assert [turn.text for turn in path(turns, edited)] == ["one", "two, edited"]
    assert alternatives(turns, turns[3]) == [second, edited]
    assert newest_leaf(turns, second) == third
    assert history.step(number, second) == third
    shown = history.conversation(number)
    assert [turn.text for turn in shown.path()] == ["one", "two", "three"]
    assert [message.content for message in messages(shown.path())] == ["one", "yes", "two", "yes", "three", "yes"]


def test_a_message_without_an_answer_goes_with_the_next_one_and_roles_take_turns(history):
    number, last = history.start(), None
    for text, answer in (("one", ""), ("two", ""), ("three", "yes"), ("four", "")):
        last = said(history, number, last, text, answer)
    sent = [(message.role, message.content) for message in messages(history.conversation(number).path())]
    assert sent == [("user", "one\n\ntwo\n\nthree"), ("assistant", "yes"), ("user", "four")]


def test_a_message_that_was_taken_back_before_its_first_word_is_not_sent_again(history):
    number = history.start()
    turn = history.add_turn(number, None, "one")
    history.finish(turn.id, "", replace(reply("one", ""), finish_reason="cancelled"))
    assert not list(messages(history.conversation(number).path()))


def test_the_list_has_the_pinned_ones_first_and_then_the_newest(history):
    numbers = [history.start(title=name) for name in "abc"]
    said(history, numbers[0], None, "hello")
    history.pin(numbers[1])
    assert [info.title for info in history.conversations()] == ["b", "a", "c"]
    assert history.last() == numbers[0]


def test_a_deleted_conversation_comes_back_and_a_purged_one_does_not(history, file):
    number = history.start()
    said(history, number, None, "a secret word: xylophone")
    history.delete(number)
    assert history.conversations() == []
    assert history.search("xylophone") == []
    with pytest.raises(HistoryError, match=f"no conversation {number}"):
        history.conversation(number)
    history.restore(number)
    assert len(history.search("xylo")) == 1
    history.delete(number)
    history.purge()
    history.close()
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM turns").fetchone() == (0,)
    assert b"xylophone" not in file.read_bytes()


def test_a_search_finds_every_word_in_messages_and_answers_and_marks_it(history):
    number = history.start()
    said(history, number, None, "How do I unpack a .tar archive?", "tar xf notes.tar")
    said(history, number, None, "Ünïcode über alles", "c'est déjà fait")
    (hit,) = history.search("archive unp")
    assert {hit.excerpt[a:b] for a, b in hit.spans} == {"archive", "unpack"}
    assert history.search("notes")[0].turn == hit.turn
    assert history.search("deja UBER")
    assert history.search("unpack nothing") == []


@settings(deadline=None)
@given(words=st.text(max_size=40))
def test_no_search_text_is_an_error(words):
    history = History(None)
    said(history, history.start(), None, "some text")
    history.search(words)
    history.close()


def test_a_conversation_is_called_after_its_first_message_until_it_is_renamed(history):
    number = history.start()
    said(history, number, None, "\n  tell me   about a very long subject " + "and more " * 20)
    title = history.conversations()[0].title
    assert title.startswith("tell me about a very long subject and more")
    assert len(title) <= 62
    history.rename(number, "mine")
    said(history, number, None, "another")
    assert history.conversations()[0].title == "mine"
    history.rename(number, " ")
    assert history.conversations()[0].title == title


@given(text=st.text())
def test_every_message_has_a_title_of_one_line(text):
    title = title_of(text)
    assert title
    assert len(title.splitlines()) == 1


def test_a_forgotten_correction_is_not_in_the_file_any_more(tmp_path):
    with contextlib.closing(History(tmp_path / "history.db")) as history:
        for text in ("my secret illness", "count the cats"):
            history.correct(Correction(text, Mix(), "sql"))
        secret, cats = history.corrections()
        with pytest.raises(HistoryError, match=r"there is no correction 77. `dlp-local router corrections`"):
            history.forget_corrections([secret.id, 77])
        assert history.corrections() == [secret, cats]
        history.forget_corrections([secret.id])
        assert history.corrections() == [cats]
        assert not any(b"secret illness" in path.read_bytes() for path in tmp_path.iterdir())


def test_a_correction_holds_for_the_pack_that_it_was_said_of(history):
    for text, pack in (("count the cats", "mine"), ("boil an egg", "another"), ("of an earlier version", "")):
        history.correct(Correction(text, Mix(), "sql", pack))
    assert [correction.text for correction in history.corrections("mine")] == [
        "count the cats",
        "of an earlier version",
    ]
    assert [correction.pack for correction in history.corrections()] == ["mine", "another", ""]
    assert [correction.text for correction in history.corrections("")] == ["of an earlier version"]


def test_drafts_corrections_and_personas_are_kept(history):
    number = history.start()
    history.set_draft(number, "half a mess")
    history.set_draft(None, "a new one")
    assert (history.draft(number), history.draft(None)) == ("half a mess", "a new one")
    history.set_draft(None, "")
    assert history.draft(None) == ""
    history.correct(Correction("count the cats", Mix.of({"shell": 1.0}), "sql"))
    (correction,) = history.corrections()
    assert (correction.text, correction.wrong, correction.right) == ("count the cats", Mix.of({"shell": 1.0}), "sql")
    history.set_persona("terse", ChatOptions(system="Be brief.", max_tokens=50))
    assert history.personas() == {"terse": ChatOptions(persona="terse", system="Be brief.", max_tokens=50)}
    history.set_persona("terse", None)
    assert history.personas() == {}


def _writes_until_killed(file, ready):
    history = History(file)
    turn = history.add_turn(history.start(), None, "my message")
    history.write_answer(turn.id, "the part that came")
    ready.set()
    signal.pause()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_after_a_kill_in_the_middle_of_an_answer_message_and_part_are_there(file):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_writes_until_killed, args=(file, ready))
    process.start()
    assert ready.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    history = History(file)
    number = history.last()
    history.end_unfinished(number)
    (turn,) = history.conversation(number).turns
    assert (turn.text, turn.answer) == ("my message", "the part that came")
    assert (turn.state, turn.error) == ("failed", BROKEN_OFF)
    history.close()


def test_a_full_disk_is_told_and_what_was_stored_before_stays(history):
    number = history.start()
    said(history, number, None, "kept")
    (pages,) = history._database.execute("PRAGMA page_count").fetchone()
    history._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(HistoryError, match=r"full.*Free some room"):
        history.add_turn(number, None, "too much " * 100_000)
    history._database.execute("PRAGMA max_page_count = 1000000")
    assert [turn.text for turn in history.conversation(number).turns] == ["kept"]
    said(history, number, None, "goes on")


def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(file):
    file.parent.mkdir()
    file.write_bytes(b"this is no database at all, but it may be precious" * 100)
    history, notice = open_history(file)
    assert "was damaged" in notice
    (aside,) = file.parent.glob("history.db.damaged-*")
    assert b"precious" in aside.read_bytes()
    said(history, history.start(), None, "hello")
    history.close()


def test_a_folder_that_cannot_be_used_leaves_the_chat_unsaved_and_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    history, notice = open_history(tmp_path / "file" / "history.db")
    assert "not saved" in notice
    said(history, history.start(), None, "hello")
    assert history.conversations()
    history.close()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_leaves_the_chat_unsaved_and_says_so(tmp_path):
    tmp_path.chmod(0o500)
    _, notice = open_history(tmp_path / "history.db")
    tmp_path.chmod(0o700)
    assert "not saved" in notice


@pytest.mark.parametrize("version", range(VERSION + 1))
def test_a_file_of_every_earlier_schema_is_brought_to_this_one(file, version):
    file.parent.mkdir()
    with sqlite3.connect(file) as database:
        for number in range(version):
            database.executescript(MIGRATIONS[number])
        database.execute(f"PRAGMA user_version = {version}")
        if version:
            database.execute("INSERT INTO conversations (title, created_at, changed_at) VALUES ('old', '2026', '2026')")
    database.close()
    history = History(file)
    assert [info.title for info in history.conversations()] == ["old"] * bool(version)
    said(history, history.start(), None, "hello")
    assert history.search("hello")
    history.close()


def test_a_file_of_a_newer_version_is_left_as_it_is(file):
    History(file).close()
    with sqlite3.connect(file) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(HistoryError, match="newer version"):
        History(file)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of another kind")
def test_nobody_else_may_read_the_file(history, file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_programs_may_use_one_file(history, file):
    other = History(file)
    number = history.start()
    said(history, number, None, "from one")
    said(other, number, None, "from the other")
    assert [turn.text for turn in history.conversation(number).turns] == ["from one", "from the other"]
    other.close()


def test_a_conversation_that_is_written_on_after_it_was_deleted_is_there_again(history):
    number = history.start()
    first = said(history, number, None, "first")
    history.delete(number)
    assert not history.has(number)
    said(history, number, first, "second")
    assert history.has(number)
    assert [info.id for info in history.conversations()] == [number]


def test_what_is_said_after_the_clock_was_put_back_is_the_last_one(history, monkeypatch):
    at = iter(["2090-01-01T00:00:00+00:00"] * 3)
    monkeypatch.setattr("dlp_local.history.conversations.now", lambda: next(at, "2026-01-01T00:00:00+00:00"))
    ahead = history.start()
    said(history, ahead, None, "from another year")
    new = history.start()
    said(history, new, None, "Hi")
    assert history.last() == new
    assert [info.id for info in history.conversations()] == [new, ahead]
    said(history, ahead, None, "once more")
    assert history.last() == ahead


def test_a_time_after_which_there_is_none_ends_nothing(history, monkeypatch):
    monkeypatch.setattr("dlp_local.history.conversations.now", lambda: "9999-12-31T23:59:59.999999+00:00")
    said(history, history.start(), None, "at the end of time")
    monkeypatch.undo()
    said(history, number := history.start(), None, "Hi")
    assert history.conversation(number).turns[0].answer == "yes"
