"""A training from lessons: what is asked for, from what it begins, and which rows stand beside the lessons."""

import os
import shutil
from dataclasses import replace

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.paths import training_folder
from dlp_local.core.values import AdapterChange, Lesson, Message
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import set_adapter
from dlp_local.packs.manifest import read_manifest
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.lessons import GENTLER, lesson_rows, lessons_request, train_from_lessons
from dlp_local.training.adapter.rows import TrainingRow, kept_rows, read_training_rows, write_rows


def lesson(text, right, adapter="dates"):
    return Lesson(adapter, "bundled", (Message("user", text),), "wrong", right)


LESSONS = [lesson(f"message {i}", f"answer {i}") for i in range(12)]
USUAL = Choices()


@pytest.fixture
def pack(pack_copy, tmp_path):
    """A pack that can be changed, with a name of its own."""
    text = (pack_copy / "pack.toml").read_text("utf-8")
    (pack_copy / "pack.toml").write_text(text.replace('name = "bundled"', 'name = "mine"'), "utf-8")
    return pack_copy


def keep(names, name, rows):
    folder = training_folder("mine", names)
    folder.mkdir(parents=True)
    file = kept_rows(folder, name)
    write_rows(file, rows)
    return file


def test_an_answer_that_was_mended_twice_is_learnt_as_it_was_the_last_time():
    assert lesson_rows([lesson("a", "first"), lesson("b", "other"), lesson("a", " second\n")]) == [
        TrainingRow((Message("user", "a"),), "second"),
        TrainingRow((Message("user", "b"),), "other"),
    ]


def test_a_lesson_whose_conversation_was_damaged_is_left_out():
    assert lesson_rows([Lesson("dates", "p", (), "wrong", "right")]) == []


def test_the_rows_are_the_lessons_and_are_gone_with_the_request(pack):
    with lessons_request(pack, "dates", LESSONS, USUAL) as request:
        file = request.rows["dates"]
        assert list(read_training_rows(file).rows) == lesson_rows(LESSONS)
        assert request.lessons
    assert not file.exists()


def test_the_adapter_in_place_is_trained_further_with_its_own_rank_and_scope(pack):
    set_adapter(pack, "dates", AdapterChange(scope="context"))
    adapter = read_manifest(pack).adapters["dates"]
    with lessons_request(pack, "dates", LESSONS, replace(USUAL, rank=1)) as request:
        assert request.choices.start == pack / adapter.file
        assert request.choices.scope == "context"
        assert (request.choices.rank, request.choices.rate) == (16, USUAL.rate * GENTLER)
    with lessons_request(pack, "dates", LESSONS, replace(USUAL, rank=32)) as request:
        assert request.choices.rank == 32


def test_a_method_that_cannot_go_on_and_an_adapter_that_is_new_begin_anew(pack):
    for name, choices in (("dates", Choices(method="cola")), ("new", USUAL)):
        with lessons_request(pack, name, LESSONS, choices) as request:
            assert request.choices == choices


def test_a_start_that_was_chosen_stays(pack, tmp_path):
    choices = Choices(start=tmp_path / "other.gguf")
    with lessons_request(pack, "dates", LESSONS, choices) as request:
        assert request.choices == choices


def test_the_rows_of_the_last_training_stand_beside_lessons(pack):
    older = keep(["dates"], "dates", lesson_rows(LESSONS))
    newer = keep(["dates", "sql"], "dates", lesson_rows(LESSONS))
    keep(["banking"], "banking", lesson_rows(LESSONS))
    os.utime(older, (1, 1))
    with lessons_request(pack, "dates", LESSONS[:1], USUAL) as request:
        assert request.replay == newer
    shutil.rmtree(newer.parent)
    with lessons_request(pack, "dates", LESSONS[:1], USUAL) as request:
        assert request.replay == older


def test_rows_that_are_given_stand_in_the_place_of_kept_ones(pack, tmp_path):
    keep(["dates"], "dates", lesson_rows(LESSONS))
    with lessons_request(pack, "dates", LESSONS[:1], USUAL, tmp_path / "own.jsonl") as request:
        assert request.replay == tmp_path / "own.jsonl"


@pytest.mark.parametrize(
    ("count", "kept", "told"), [(9, False, "10 of them, and there are 9"), (1, False, "is 1"), (0, True, "needs 1 of")]
)
def test_too_few_lessons_are_told_with_what_makes_more(pack, count, kept, told):
    if kept:
        keep(["dates"], "dates", lesson_rows(LESSONS))
    with (
        pytest.raises(InputError, match=f"{told}.*F8 on an answer makes one"),
        lessons_request(pack, "dates", LESSONS[:count], USUAL),
    ):
        """Never reached."""


def test_a_few_lessons_are_learnt_and_what_was_known_stays(pack):
    """The whole way: an adapter of the pack, rows of its own, and lessons, in another process."""
    pytest.importorskip("torch", reason="needs the train extra")
    own = [TrainingRow((Message("user", f"to ISO: {day} July 1999"),), f"1999-07-{day}") for day in range(10, 24)]
    file = keep(["dates"], "dates", own)
    lessons = [lesson("to ISO: Christmas 1999", "1999-12-25"), lesson("to ISO: Christmas 2004", "2004-12-25")]
    before = read_manifest(pack).adapters["dates"]
    *_, done = train_from_lessons(pack, "dates", lessons)
    result = done.results["dates"]
    assert result.in_place, result.refused
    assert result.scores["new adapter"].value > result.scores["pack today"].value
    after = read_manifest(pack).adapters["dates"]
    assert (after.description, after.sha256 == before.sha256) == (before.description, False)
    assert set(before.examples) <= set(open_pack(pack).examples("dates"))
    assert list(read_training_rows(file).rows) == own
