"""What counts as a right answer when a pack is measured."""

import pytest

from tools.data import Row
from tools.scores import SCORES, same_lone_row, same_object, same_rows

QUESTION = "Which lane has Brazil with a time under 21.15?\ncolumns: lane, nationality, rank, time"
RIGHT = "SELECT SUM(lane) FROM t WHERE nationality = 'Brazil' AND time < 21.15"


@pytest.mark.parametrize(
    ("query", "in_many", "in_one"),
    [
        (RIGHT, True, True),
        ("SELECT sum(lane) FROM t WHERE time < 21.15 AND nationality = 'Brazil'", True, True),
        (RIGHT.replace("SUM", "AVG"), False, True),
        (RIGHT.replace("SUM(lane)", "lane"), False, True),
        (RIGHT.replace("SUM", "COUNT"), False, False),
        (RIGHT.replace("lane", "rank"), False, False),
        (RIGHT.replace("Brazil", "Chile"), False, False),
        (RIGHT.replace(" AND time < 21.15", ""), False, False),
        (RIGHT.replace("nationality = 'Brazil' AND ", ""), False, False),
        (RIGHT.replace("<", ">"), False, False),
        ("SELECT", False, False),
        ("SELECT missing FROM t", False, False),
    ],
)
def test_queries_are_compared_by_the_rows_that_they_give(query, in_many, in_one):
    row = Row(QUESTION, RIGHT)
    assert (same_rows(query, row), same_lone_row(query, row)) == (in_many, in_one)


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
