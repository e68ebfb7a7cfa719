"""`dlp-local adapters lessons`: shown, written out as rows, erased; and `adapters train NAME --lessons` reads them."""

import json
import re

import pytest

from dlp_local.core.paths import training_folder
from dlp_local.core.values import Lesson, Message
from dlp_local.packs.create import copy_pack
from dlp_local.training.adapter.rows import read_training_rows
from tests.support.command import out, refused

SAID = (Message("user", "hi"), Message("assistant", "hello"), Message("user", "count\nthe \x1b[31mcats"))
COUNTED = Lesson("sql", "mine", SAID, "4", "SELECT count(*) FROM cats")
DATED = Lesson("dates", "other", (Message("user", "to ISO: Christmas"),), "25", "2026-12-25")
AGAIN = Lesson("sql", "mine", SAID, "4", "SELECT 1")


@pytest.fixture
def taught(stored):
    stored.add_lessons([COUNTED, DATED, AGAIN])
    return stored


def test_where_there_are_none_it_is_said_how_one_is_made():
    assert out("adapters", "lessons") == "There is no lesson yet. F8 in the chat, on an answer, makes one.\n"


def test_all_or_those_of_an_adapter_are_shown_without_what_steers_the_terminal(taught):
    shown = out("adapters", "lessons")
    assert re.search(r"1  sql +mine +count the .*cats +SELECT count", shown)
    assert re.search(r"2  dates +other +to ISO: Christmas +2026-12-25", shown)
    assert "\x1b" not in shown
    assert "dates" not in out("adapters", "lessons", "sql")


def test_json_has_all_of_a_lesson(taught):
    (row,) = map(json.loads, out("adapters", "lessons", "dates", "--json").splitlines())
    assert row.pop("created_at")
    assert row == {
        "number": 2,
        "adapter": "dates",
        "pack": "other",
        "messages": [{"role": "user", "content": "to ISO: Christmas"}],
        "wrong": "25",
        "right": "2026-12-25",
    }


def test_exported_lessons_are_rows_that_a_training_reads(taught, tmp_path):
    file = tmp_path / "rows.jsonl"
    assert out("adapters", "lessons", "sql", "--export", str(file)) == f"1 row written to {file}\n"
    (row,) = read_training_rows(file).rows
    assert (row.messages, row.answer) == (SAID, "SELECT 1")
    assert "is there already" in refused(2, "adapters", "lessons", "--export", str(file))


def test_lessons_are_erased_by_their_numbers_or_all_that_would_be_shown(taught):
    assert "no lesson 9" in refused(2, "adapters", "lessons", "--forget", "1", "--forget", "9")
    assert out("adapters", "lessons", "--forget", "1", "--forget", "2") == "2 lessons erased\n"
    taught.add_lessons([DATED])
    assert out("adapters", "lessons", "sql", "--forget-all") == "1 lesson erased\n"
    assert [lesson.adapter for lesson in taught.lessons()] == ["dates"]


@pytest.mark.parametrize("flags", [("--json", "--forget-all"), ("--forget", "1", "--forget-all")])
def test_one_thing_is_done_at_a_time(taught, flags):
    assert "one thing at a time" in refused(2, "adapters", "lessons", *flags)
    assert len(taught.lessons()) == 3


def test_a_training_from_too_few_lessons_says_how_many_it_needs(taught, bundled):
    copy_pack("mine", bundled)
    told = refused(2, "adapters", "train", "sql", "--lessons", "--pack", "mine")
    assert "training 'sql' from lessons needs 10 of them, and there is 1" in told
    assert not training_folder("mine", ["sql"]).exists()


def test_a_training_from_lessons_is_of_one_adapter(taught):
    told = refused(2, "adapters", "train", "sql", "a.jsonl", "dates", "b.jsonl", "--lessons", "--pack", "bundled")
    assert "--lessons: is for one adapter" in told
