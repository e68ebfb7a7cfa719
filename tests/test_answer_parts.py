"""The answer to a message of several tasks: one answer of the answers to its parts, cut and gone on with."""

import pytest

from dlp_local.answer_parts import answer_parts, begun_answer, joined_reply
from dlp_local.core.events import AnswerWasReasoning, HistoryTrimmed, ReasoningDelta, ReplyDone, TextDelta, Timings
from dlp_local.core.values import BLANK_LINE, Mix, Route

PARTS = tuple(Route(text, {name: 0.99}, Mix.of({name: 1.0})) for name, text in [("shell", "one"), ("sql", "two")])
ROUTE = Route("one\ntwo", {"shell": 0.5, "sql": 0.5}, Mix.of({"shell": 0.5, "sql": 0.5}), 3.0, 1.0, PARTS)


def reply(route, answer, finish_reason="stop", **more):
    tokens = len(answer)
    return ReplyDone(
        route.text, answer, route, finish_reason, 10, tokens, 10 + tokens, 100, Timings(0.0, 50.0, 100.0), **more
    )


class Script:
    """Answers each part by its text: pieces and how it ends; keeps what it was asked."""

    def __init__(self, **ends):
        self.ends, self.asked, self.most = ends, [], []

    def __call__(self, route, prefix, most):
        self.most.append(most)
        self.asked.append((route.text, prefix))
        yield HistoryTrimmed(2)
        for piece in ("a", "b"):
            yield TextDelta(f"{route.text}-{piece} ")
        yield reply(route, f"{prefix}{route.text}-a {route.text}-b ", self.ends.get(route.text, "stop"))


def run(script, begun=(), most=None):
    *events, done = answer_parts(ROUTE, script, most, begun)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), done, events


def test_the_parts_are_answered_in_order_as_one_answer():
    text, done, events = run(Script())
    assert text == done.answer == f"one-a one-b {BLANK_LINE}two-a two-b "
    assert [part.answer for part in done.parts] == ["one-a one-b ", "two-a two-b "]
    assert [event for event in events if isinstance(event, HistoryTrimmed)] == [HistoryTrimmed(2)]
    assert (done.text, done.route, done.finish_reason) == (ROUTE.text, ROUTE, "stop")
    assert (done.prompt_tokens, done.answer_tokens, done.context_used) == (20, 24, 22)
    assert done.timings == Timings(4.0, 54.0, 204.0)
    assert done.tokens_per_second == pytest.approx(22 / 0.1)


@pytest.mark.parametrize(
    ("ends", "asked"), [({"one": "cancelled"}, 1), ({"one": "error"}, 1), ({"two": "cancelled"}, 2)]
)
def test_what_ends_a_part_ends_the_answer_and_the_rest_is_unanswered(ends, asked):
    script = Script(**ends)
    _, done, _ = run(script)
    assert len(script.asked) == asked
    assert done.finish_reason in ends.values()
    assert [bool(part.answer) for part in done.parts] == [True, asked == 2]
    assert done.answer == BLANK_LINE.join(part.answer for part in done.parts if part.answer)


def test_a_part_that_was_cut_at_its_limit_does_not_keep_the_next_from_its_answer():
    _, done, _ = run(Script(one="length"))
    assert done.finish_reason == "length"
    assert [part.finish_reason for part in done.parts] == ["length", "stop"]


@pytest.mark.parametrize(
    ("begun", "asked"),
    [
        ([("one.", "stop"), ("tw", "cancelled")], [("two", "tw")]),
        ([("one.", "stop"), ("", "cancelled")], [("two", "")]),
        ([("on", "length"), ("two.", "stop")], [("one", "on")]),
        ([("on", "length"), ("tw", "length")], [("one", "on"), ("two", "tw")]),
        ([("on", "cancelled"), ("", "cancelled")], [("one", "on"), ("two", "")]),
        ([("", "error"), ("", "error")], [("one", ""), ("two", "")]),
    ],
)
def test_an_answer_goes_on_where_its_parts_were_cut(begun, asked):
    script = Script()
    before = [reply(route, *part) for route, part in zip(PARTS, begun, strict=True)]
    text, done, _ = run(script, before)
    assert script.asked == asked
    assert begun_answer(before) + text == done.answer
    assert all(part.finish_reason == "stop" for part in done.parts)
    for part, (answer, _) in zip(done.parts, begun, strict=True):
        assert part.answer.startswith(answer)


@pytest.mark.parametrize(
    ("most", "asked", "finish_reason"), [(30, [30, 18], "stop"), (12, [12], "length"), (10, [10], "length")]
)
def test_the_tokens_that_an_answer_may_have_are_those_of_all_its_parts(most, asked, finish_reason):
    script = Script()  # 12 tokens a part
    _, done, _ = run(script, most=most)
    assert script.most == asked
    assert done.finish_reason == finish_reason
    assert [part.finish_reason for part in done.parts] == ["stop", finish_reason]


def test_an_answer_that_is_gone_on_with_keeps_the_parts_for_which_no_tokens_are_left():
    begun = [reply(PARTS[0], "on", "length"), reply(PARTS[1], "tw", "length")]
    text, done, _ = run(Script(), begun, most=4)
    assert begun_answer(begun) + text == done.answer
    assert (done.parts[1].answer, done.finish_reason) == ("tw", "length")


def test_text_of_a_part_that_was_reasoning_takes_the_parts_before_it_not_along():
    def answer(route, prefix, most):
        yield TextDelta("thought")
        yield AnswerWasReasoning()
        yield TextDelta(route.text)
        yield reply(route, route.text, reasoning="thought")

    *events, done = answer_parts(ROUTE, answer)
    last = max(index for index, event in enumerate(events) if isinstance(event, AnswerWasReasoning))
    assert "".join(event.text for event in events[last + 1 :]) == done.answer == f"one{BLANK_LINE}two"


def test_an_answer_that_is_given_up_closes_the_answer_to_its_part():
    closed = []

    def answer(route, prefix, most):
        try:
            yield ReasoningDelta("hm")
        finally:
            closed.append(route.text)

    events = answer_parts(ROUTE, answer)
    assert next(events) == ReasoningDelta("hm")
    events.close()
    assert closed == ["one"]


def test_reasoning_and_errors_of_parts_are_those_of_the_answer():
    first = reply(PARTS[0], "x", reasoning="because")
    done = joined_reply(ROUTE, [first, reply(PARTS[1], "", "error", error="it ended.")])
    assert (done.reasoning, done.error, done.finish_reason) == ("because", "it ended.", "error")
