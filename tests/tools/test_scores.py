"""What counts as a right answer when a pack is measured."""

import pytest

from tools.data import Row
from tools.scores import SCORES, same_lone_row, same_object, same_rows


def test_queries_are_compared_by_the_rows_that_they_give():
    row = Row("Who is older than 30?\ncolumns: name, age", "SELECT name FROM t WHERE age > 30")
    wrong = row.answer.replace(">", "<")
    for same in (same_rows, same_lone_row):
        assert (same(row.answer.lower(), row), same(wrong, row)) == (True, False)


def test_objects_are_compared_without_the_order_of_their_keys():
    row = Row("", '{"a": 1, "b": [1, 2]}')
    assert same_object('{"b": [1, 2], "a": 1}', row)
    assert not same_object('{"b": [2, 1], "a": 1}', row)
    assert not same_object('{"a": 1', row)


def test_talk_without_a_slot_counts_among_all_rows_and_not_among_those_about_a_booking():
    wanted = [[Row("for 4", '{"people": "4"}')], [Row("Can we sit outside?", "{}")], [Row("Goodbye then!", "{}")]]
    every, of_bookings = SCORES["extract"].values()
    answers = ['{"people": "4"}', "{}", "Goodbye!"]
    assert every(answers, wanted) == pytest.approx(200 / 3)
    assert of_bookings(answers, wanted) == 100
