"""Intervals and paired tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.evaluation import intervals
from dlp_local.evaluation.intervals import Group, draw_sums, means
from dlp_local.evaluation.metrics import METRICS

EXACT, F1 = METRICS["exact"], METRICS["slot-f1"]


def group(task="a", metric=EXACT, **of_policies):
    """A group of rows; each policy's scores of them are given."""
    return Group(task, metric, {name: np.array([[float(x), 1.0] for x in xs]) for name, xs in of_policies.items()})


def scores(groups, policy):
    return intervals.scores(groups, policy, draw_sums(groups))


def differences(groups, policy, other):
    return intervals.differences(groups, policy, other, draw_sums(groups))


flags = st.lists(st.booleans(), min_size=1, max_size=30)


@given(flags, flags)
def test_a_score_is_in_its_interval_and_the_same_each_time(first, second):
    groups = [group("a", p=first), group("b", p=second)]
    found = scores(groups, "p")
    assert list(found) == ["", "a", "b"]
    for interval in found.values():
        assert 0 <= interval.low <= interval.score <= interval.high <= 1
    assert found["a"].score == pytest.approx(np.mean(first))
    assert found[""].score == pytest.approx((np.mean(first) + np.mean(second)) / 2)
    assert scores(groups, "p") == found
    assert means(groups, "p") == {task: interval.score for task, interval in found.items()}


def test_an_interval_is_about_as_wide_as_it_has_to_be():
    interval = scores([group(p=[1] * 60 + [0] * 40)], "p")["a"]
    deviation = (0.6 * 0.4 / 100) ** 0.5
    assert interval.low == pytest.approx(0.6 - 1.96 * deviation, abs=0.02)
    assert interval.high == pytest.approx(0.6 + 1.96 * deviation, abs=0.02)


def test_groups_of_one_task_count_by_their_rows():
    slots = Group("a", F1, {"p": np.array([[1.0, 2.0, 2.0], [0.0, 1.0, 1.0]])})
    found = means([group(p=[1, 1, 1, 0, 0, 0]), slots], "p")
    assert found["a"] == pytest.approx((6 * 0.5 + 2 * (2 / 6)) / 8)


@given(flags)
def test_policies_that_answer_the_same_are_not_told_apart(first):
    difference = differences([group(p=first, q=first)], "p", "q")[""]
    assert difference.interval.as_dict() == {"score": 0, "low": 0, "high": 0}
    assert difference.p == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_a_difference_has_two_sides(pairs):
    groups = [group(p=[one for one, _ in pairs], q=[two for _, two in pairs])]
    there, back = differences(groups, "p", "q")[""], differences(groups, "q", "p")[""]
    assert there.interval.score == pytest.approx(-back.interval.score)
    assert there.interval.low == pytest.approx(-back.interval.high)
    assert there.p == pytest.approx(back.p)
    assert 0 < there.p <= 1


def test_p_is_that_of_the_exact_test():
    """Ten rows of which nine are right under one policy alone: 2·(1 + 10)/2¹⁰ of all swaps differ as much."""
    p = differences([group(p=[1] * 9 + [0], q=[0] * 9 + [1])], "p", "q")[""].p
    assert p == pytest.approx(22 / 1024, abs=0.01)
    assert differences([group(p=[1] * 200, q=[0] * 200)], "p", "q")[""].p < 0.001


def test_a_large_group_is_drawn_in_pieces(monkeypatch):
    rows = {"p": [1, 0, 1] * 40, "q": [0, 1, 1] * 40}
    whole = scores([group(**rows)], "p")[""], differences([group(**rows)], "p", "q")[""]
    monkeypatch.setattr("dlp_local.evaluation.intervals.AT_ONCE", 1000)
    assert (scores([group(**rows)], "p")[""], differences([group(**rows)], "p", "q")[""]) == whole


def test_no_groups_have_no_scores():
    assert scores([], "p") == differences([], "p", "q") == means([], "p") == {}


def test_policies_and_metrics_of_the_same_rows_are_judged_by_the_same_drawings():
    exact = group(p=[1, 0, 1, 0, 0, 1], q=[0, 1, 0, 1, 1, 0])
    other = Group("a", F1, {"p": np.array([[x, 1.0, 1.0] for x in (1, 0, 1, 0, 0, 1)])})
    sums = draw_sums([exact, other])
    assert np.array_equal(sums["a", "exact", 6, "p"][:, 0], 6 - sums["a", "exact", 6, "q"][:, 0])
    assert np.array_equal(sums["a", "exact", 6, "p"][:, 0], sums["a", "slot-f1", 6, "p"][:, 0])
