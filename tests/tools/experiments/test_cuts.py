"""Where messages are cut: what is joined, what counts as cut right, and the section that is made of that."""

from dataclasses import replace

import pytest

from dlp_local.core.values import BASE, Mix, Route
from tests.tools.experiments.test_parts import section
from tools.experiments import cuts
from tools.experiments.composites import JOINTS, join

MESSAGE = cuts.Joined("list all files. 3 May 1991", "full stop", ("list all files", "3 May 1991"), ("shell", "dates"))


def route(*parts):
    def of(text, label, routes=()):
        return Route(text, {label: 0.9, "sql": 0.1}, Mix(), 0.0, 0.0, routes)

    return of(MESSAGE.text, "shell", tuple(of(*part) for part in parts))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([("list all files.", "shell"), ("3 May 1991", "dates")], cuts.RIGHT),
        ([("list all files", "shell"), ("3 May 1991.", "dates")], cuts.RIGHT),
        ([("list all files.", "dates"), ("3 May 1991", "shell")], cuts.OTHERWISE),
        ([("list all files. 3", "shell"), ("May 1991", "dates")], cuts.OTHERWISE),
        ([("list all files.", "shell"), ("3 May", "dates"), ("1991", "dates")], cuts.OTHERWISE),
        ([], cuts.WHOLE),
    ],
)
def test_a_message_is_cut_right_where_its_requests_meet_and_each_goes_to_its_own(parts, expected):
    assert cuts.outcome(MESSAGE, route(*parts)) == expected


@pytest.mark.parametrize(
    ("first", "joint", "expected"),
    [
        ("list all files ", "line break", "list all files\nhello"),
        ("list all files", "full stop", "list all files. hello"),
        ("all files?", "full stop", "all files? hello"),
        ("list all files.", "and", "list all files and hello"),
    ],
)
def test_two_requests_are_joined_as_people_join_them(first, joint, expected):
    assert join(first, "hello", joint) == expected


@pytest.fixture
def with_everyday(setup):
    return replace(setup, recipe=replace(setup.recipe, everyday=("tell me a story about a fox",)), per_class=2)


def test_messages_of_a_task_and_base_have_either_first(with_everyday):
    made = cuts.task_and_base(with_everyday)
    assert [one.joint for one in made] == list(JOINTS) * 2
    assert {one.owners.index(BASE) for one in made} == {0, 1}
    for one in made:
        assert one.requests[one.owners.index(BASE)] == "tell me a story about a fox"
        assert all(request.rstrip(" .") in one.text for request in one.requests)
    assert cuts.task_and_base(replace(with_everyday, recipe=replace(with_everyday.recipe, everyday=()))) == []


def test_messages_of_two_tasks_name_the_adapter_of_each_request(with_everyday):
    made = cuts.two_tasks(with_everyday)
    assert [one.joint for one in made] == list(JOINTS) * 2
    for one in made:
        assert len(set(one.owners)) == 2
        assert one.text == join(*one.requests, one.joint)


def test_most_rows_stay_whole_and_most_messages_of_two_tasks_are_cut(with_everyday):
    of_single, of_joined = cuts.single(with_everyday), cuts.joined(with_everyday)
    assert [of["rows"] for of in of_single.values()] == [8] * 6
    assert sum(of["cut"] for of in of_single.values()) <= 2
    outcomes = of_joined["two tasks"]["outcomes"]
    assert [sum(counts.values()) for counts in outcomes.values()] == [2, 2, 2]
    assert sum(counts[cuts.RIGHT] for counts in outcomes.values()) >= 3
    assert sum(sum(counts.values()) for counts in of_joined["a task and base"]["outcomes"].values()) == 6
    text = section(cuts.PART, single=of_single, joined=of_joined)
    assert "| shell | 8 | " in text
    assert "| a task and base | all | 6 |" in text


def test_the_section_has_the_shares_of_its_figures():
    counts = {cuts.RIGHT: 3, cuts.OTHERWISE: 1, cuts.WHOLE: 0}
    none = dict.fromkeys(counts, 0)
    took = {"median": 6, "of_95": 9, "whole": 12}
    found = {"two tasks": {"outcomes": dict.fromkeys(JOINTS, counts), "more_milliseconds": took}}
    found["a task and base"] = {"outcomes": dict.fromkeys(JOINTS, none), "more_milliseconds": None}
    text = section(cuts.PART, single={"sql": {"rows": 800, "cut": 2}}, joined=found)
    assert "| sql | 800 | 0.25 |" in text
    assert "| two tasks | and | 4 | 75.0 | 25.0 | 0.0 |" in text
    assert "| two tasks | all | 12 | 75.0 | 25.0 | 0.0 |" in text
    assert "| a task and base | all | 0 | - | - | - |" in text
    assert "two tasks: 6.0 ms beside 12.0, 9.0 of 95 in 100." in text
