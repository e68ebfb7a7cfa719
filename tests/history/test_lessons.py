"""Lessons: answers that the user mended, stored with the adapter that is to learn them, and erased for good."""

import contextlib
from dataclasses import replace

import pytest

from dlp_local.core.errors import HistoryError
from dlp_local.core.values import Lesson, Message
from dlp_local.history import History
from dlp_local.history.schema import MIGRATIONS
from tests.support.history_files import change

SAID = (Message("system", "Be brief."), Message("user", "hi"), Message("assistant", "hö"), Message("user", "und nun?"))
DATES = Lesson("dates", "mine", SAID, "4 July", "1999-07-04")
SQL = Lesson("sql", "another", (Message("user", "count the cats"),), "", "SELECT count(*) FROM cats")


@pytest.fixture
def history(file):
    with contextlib.closing(History(file)) as opened:
        yield opened


def test_lessons_are_kept_with_their_whole_conversation_in_the_order_in_which_they_came(history):
    history.add_lessons([DATES, SQL])
    history.add_lessons([replace(SQL, created_at="2026-11-27T12:00:00+00:00")])
    assert [replace(lesson, created_at="", id=0) for lesson in history.lessons()] == [DATES, SQL, SQL]
    assert [lesson.id for lesson in history.lessons()] == [1, 2, 3]
    first, *_, last = (lesson.created_at for lesson in history.lessons())
    assert (first[:2], last) == ("20", "2026-11-27T12:00:00+00:00")


def test_an_adapters_lessons_are_its_own_whichever_pack_answered(history):
    history.add_lessons([DATES, SQL, replace(SQL, pack="mine")])
    assert [lesson.pack for lesson in history.lessons("sql")] == ["another", "mine"]
    assert history.lessons("banking") == []


def test_a_forgotten_lesson_is_not_in_the_file_any_more(history, file):
    history.add_lessons([replace(DATES, wrong="gestern", right="übermorgen"), SQL])
    with pytest.raises(HistoryError, match=r"there is no lesson 77. `dlp-local adapters lessons` shows them"):
        history.forget_lessons([1, 77])
    assert len(history.lessons()) == 2
    history.forget_lessons([1])
    assert [lesson.adapter for lesson in history.lessons()] == ["sql"]
    stored = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert "übermorgen".encode() not in stored
    assert b"gestern" not in stored


def test_a_lesson_outlives_the_conversation_that_it_was_made_in(history):
    number = history.start()
    history.add_turn(number, None, "und nun?")
    history.add_lessons([DATES])
    history.purge(number)
    assert len(history.lessons()) == 1


def test_several_lessons_are_stored_all_or_none(history):
    with pytest.raises(HistoryError, match="half a character"):
        history.add_lessons([DATES, replace(SQL, right="\ud800")])
    assert history.lessons() == []


@pytest.mark.parametrize("damaged", ["", "no json", "[1]", '{"role": "user"}', '[{"role": "boss", "content": "x"}]'])
def test_a_lesson_whose_conversation_is_damaged_is_shown_without_it_and_can_be_erased(file, damaged):
    with contextlib.closing(History(file)) as history:
        history.add_lessons([DATES, SQL])
    change(file, "UPDATE lessons SET messages = ? WHERE id = 1", damaged)
    with contextlib.closing(History(file)) as history:
        first, second = history.lessons()
        assert (first.messages, first.right, second.messages) == ((), DATES.right, SQL.messages)
        history.forget_lessons([1])
        assert [lesson.id for lesson in history.lessons()] == [2]


def test_a_file_of_the_schema_before_gets_lessons_and_keeps_its_search(file):
    file.parent.mkdir()
    with contextlib.closing(History(file)) as history:
        turn = history.add_turn(history.start(), None, "precious")
        history.finish(turn.id, "hi", None)
    change(file, "DROP TABLE lessons")
    change(file, f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    with contextlib.closing(History(file)) as history:
        history.add_lessons([DATES])
        assert len(history.lessons()) == len(history.search("precious")) == 1
