"""Whether a trained adapter may take its place, and the reasons that are given where it may not."""

import pytest

from dlp_local.training.adapter.acceptance import BASE_NAME, NEW, PRESENT, refusal
from dlp_local.training.adapter.events import RoutingEffect, Score

GOOD = RoutingEffect(own=0.9, judged=50, taken=(), too_many=0, background=0.0)


def scores(base, present, new):
    return {name: Score(10, value, value) for name, value in ((BASE_NAME, base), (PRESENT, present), (NEW, new))}


def test_one_that_is_better_and_takes_nothing_is_not_refused():
    assert refusal(scores(0.1, 0.2, 0.3), GOOD) == ""


@pytest.mark.parametrize(
    ("values", "named"),
    [((0.3, 0.1, 0.2), ["base"]), ((0.1, 0.2, 0.2), ["the pack is today"]), ((1, 1, 1), ["base", "the pack is today"])],
)
def test_one_that_is_no_better_is_refused_by_what_is_as_good(values, named):
    reason = refusal(scores(*values), GOOD)
    assert [name for name in ("base", "the pack is today") if f"no better than {name}" in reason] == named


def test_wording_counts_as_much_as_an_answer_that_is_exactly_right():
    closer = scores(0, 0, 0) | {NEW: Score(10, 0.0, 0.4)}
    assert refusal(closer, GOOD) == ""


def test_messages_that_it_would_take_are_counted_by_their_owner_and_the_first_are_shown():
    taken = (("sql", "count the cats"), ("sql", ""), ("dates", "4 July"))
    reason = refusal(scores(0, 0, 1), RoutingEffect(0.9, 50, taken, 2, 0.0))
    assert reason == "it would take 3 messages from others (2 of sql, 1 of dates, 'count the cats', '4 July')"


def test_a_few_messages_in_a_thousand_of_another_may_come_to_it():
    assert refusal(scores(0, 0, 1), RoutingEffect(0.9, 1000, (("sql", ""),), 0, 0.0)) == ""


def test_one_that_its_own_messages_do_not_come_to_is_refused_and_so_is_one_that_everyday_messages_do():
    reason = refusal(scores(0, 0, 1), RoutingEffect(0.4, 50, (), 0, 0.05))
    assert "only 40% of its own held-out messages would come to it" in reason
    assert "5% of everyday messages that are nobody's would come to it" in reason
