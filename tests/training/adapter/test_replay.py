"""Lessons and the adapter's own rows: what is trained on, what is judged by, and that nothing own is forgotten."""

from collections import Counter

import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.values import Message
from dlp_local.training.adapter.replay import FEWEST_REPLAYED, MOST_JUDGED, MOST_REPEATED, REPLAYED, split_lessons
from dlp_local.training.adapter.rows import TrainingRow, split_rows


def rows(count, kind):
    return [TrainingRow((Message("user", f"{kind} {i}"),), f"{kind} answer {i}") for i in range(count)]


OWN = rows(200, "own")


def test_every_lesson_is_trained_on_and_judged_by():
    lessons = rows(3, "lesson")
    split = split_lessons(lessons, OWN)
    assert set(lessons) <= set(split.train)
    assert split.held_out[:3] == tuple(lessons)


def test_the_own_rows_that_judge_are_those_that_the_adapter_was_never_trained_on():
    split = split_lessons(rows(3, "lesson"), OWN)
    before = split_rows(OWN)
    assert split.held_out[3:] == before.held_out
    assert not set(before.held_out) & set(split.train)


@pytest.mark.parametrize("count", [1, 3, 10, 100])
def test_lessons_are_about_half_of_what_is_trained_on_as_far_as_repetition_goes(count):
    lessons = rows(count, "lesson")
    times = Counter(split_lessons(lessons, OWN).train)
    repeated = {times[lesson] for lesson in lessons}
    replayed = sum(number for row, number in times.items() if row not in lessons)
    assert len(repeated) == 1
    assert replayed == min(max(REPLAYED * count, FEWEST_REPLAYED), len(split_rows(OWN).train))
    (often,) = repeated
    assert often == MOST_REPEATED or count * often <= replayed < count * (often + 1) or often == 1


def test_the_same_rows_are_replayed_each_time():
    lessons = rows(5, "lesson")
    assert split_lessons(lessons, OWN) == split_lessons(lessons, OWN)


def test_own_rows_judge_however_many_lessons_there_are():
    split = split_lessons(rows(500, "lesson"), OWN)
    assert len([row for row in split.held_out if row in OWN]) == 40
    assert len(split.held_out) == MOST_JUDGED + 40


def test_an_own_answer_that_a_lesson_mended_is_not_learnt_any_more():
    mended = [TrainingRow(row.messages, "better") for row in OWN]
    split = split_lessons(mended[:20], OWN[:60])
    answers = {row.messages: row.answer for row in (*split.train, *split.held_out)}
    assert all(answers[row.messages] == "better" for row in mended[:20])
    assert not set(OWN[:20]) & {*split.train, *split.held_out}


def test_an_adapter_that_begins_anew_learns_all_of_its_own_again():
    split = split_lessons(rows(1, "lesson"), OWN, anew=True)
    assert set(split_rows(OWN).train) <= set(split.train)


def test_few_own_rows_are_split_as_rows_are():
    lessons = rows(8, "lesson")
    assert split_lessons(lessons, OWN[:4]) == split_rows((*lessons, *OWN[:4]))
    with pytest.raises(InputError, match=r"training needs 10 rows .*there are 5"):
        split_lessons(lessons[:1], OWN[:4])


def test_rows_to_judge_by_that_are_given_are_never_trained_on():
    lessons = rows(4, "lesson")
    held_out = (lessons[0], OWN[0], *rows(3, "other"))
    split = split_lessons(lessons, OWN, held_out)
    assert split.held_out == held_out
    assert not set(split.train) & set(held_out)
    assert set(lessons[1:]) <= set(split.train)
