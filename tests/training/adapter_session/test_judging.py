"""Answers to held-out rows, and how right they are."""

from contextlib import nullcontext

import pytest

from dlp_local.core.errors import EngineError
from dlp_local.core.events import ReplyDone
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.values import Message, Mix
from dlp_local.engine.gathering import Apart
from dlp_local.training.adapter.judging import answering, answers, greedy_reply, is_same, score
from dlp_local.training.adapter.rows import TrainingRow

pytest.importorskip("sacrebleu", reason="needs the train extra")


def row(prompt, answer):
    return TrainingRow((Message("user", prompt),), answer)


@pytest.mark.parametrize(
    ("answer", "wanted", "same"),
    [
        (" SELECT 1\n", "SELECT 1", True),
        ("select 1", "SELECT 1", False),
        ('{"b": [1, 2],"a":"x"}', '{"a": "x", "b": [1,2]}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ("[1]", "[1, 2]", False),
        ("1.0", "1", False),
        ("[" * 100_000, "[]", False),
    ],
)
def test_answers_are_the_same_as_text_or_as_json(answer, wanted, same):
    assert is_same(answer, wanted) is same


def test_a_score_is_the_share_that_is_exactly_right_and_the_mean_of_chrf():
    rows = [row("a", "one two three"), row("b", "four five six")]
    given = score(["one two three", ""], rows)
    assert (given.rows, given.exact) == (2, 0.5)
    assert given.chrf == pytest.approx(0.5)
    assert score(["one two three", "four five"], rows).chrf > given.chrf
    assert given.value == pytest.approx(0.5)


def test_where_a_message_has_several_answers_any_of_them_is_right():
    rows = [row("a", "one"), row("a", "two")]
    assert score(["two", "one"], rows).exact == 1.0


def test_held_out_rows_are_answered_through_the_product_and_counted(assistant):
    rows = [row("to ISO: 4 July 1999", "1999-07-04"), row("to ISO: 5 May 2020", "2020-05-05")]
    told = answering(assistant, rows, None, 16, Cancellation())
    assert [next(told), next(told)] == [1, 2]
    with pytest.raises(StopIteration) as end:
        next(told)
    assert score(end.value.value, rows).exact == 1.0
    assert score(answers(assistant, rows, Mix(), 16, Cancellation()), rows).exact < 1.0


def test_answers_that_are_cancelled_end_soon_and_are_empty(assistant):
    cancellation = Cancellation()
    cancellation.request()
    assert answers(assistant, [row("tell me a story", "x")] * 3, Mix(), 400, cancellation) == [""] * 3


class Recording:
    """Takes what a reply is asked for."""

    concurrent_replies = 2

    def __init__(self, error=""):
        self.asked, self.error = [], error

    def reply(self, text, history, **options):
        self.asked.append((text, history, options))
        done = ReplyDone.__new__(ReplyDone)
        object.__setattr__(done, "answer", "x")
        object.__setattr__(done, "error", self.error)
        return Job(lambda _: iter([done]))

    def together(self, members):
        return nullcontext(Apart())


def test_a_row_is_asked_as_it_was_written_greedily_and_with_its_own_system_prompt():
    messages = (Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    recording = Recording()
    greedy_reply(recording, TrainingRow(messages, "d"), Mix(), 7, "Be kind.")
    greedy_reply(recording, row("c", "d"), Mix(), 7, "Be kind.")
    (text, history, options), (_, nothing, others) = recording.asked
    assert (text, history, nothing) == ("c", list(messages[1:3]), [])
    assert (options["options"].system, others["options"].system) == ("Be brief.", "Be kind.")
    assert (options["options"].temperature, options["options"].max_tokens, options["options"].split) == (0.0, 7, False)


def test_an_answer_that_cannot_be_had_is_no_answer():
    with pytest.raises(EngineError, match="it broke"):
        answers(Recording("it broke"), [row("a", "b")], Mix(), 4, Cancellation())
