"""A turn that is kept: what stands in the history when it was answered, failed, was broken off or given up."""

import threading

import pytest

from dlp_local.conversation_turn import GIVEN_UP, answer_turn, fail_turn, store_message
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import AnswerWasReasoning, ReplyDone, TextDelta
from dlp_local.core.job import Job
from dlp_local.core.values import Message, Mix
from dlp_local.history import History
from dlp_local.history.model import BROKEN_OFF
from dlp_local.history.open_conversation import OpenConversation
from tests.support.fakes import Answer, FakeAssistant, Gate


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path / "history.db")
    yield history
    history.close()


@pytest.fixture
def conversation(history):
    return OpenConversation(history)


def stored(history, conversation):
    return history.conversation(conversation.number).turns


def ask(assistant, conversation, text, **options):
    turn = store_message(conversation, text, parent=conversation.tip, pack="bundled")
    return answer_turn(assistant, conversation, turn.id, **options)


def test_text_that_was_reasoning_is_no_part_of_a_stored_answer_though_it_ends_there(history, conversation):
    answer = Answer(["Four", "."], reasoning="hm", is_reasoning_late=True, gate=(gate := Gate()), before_gate=1)
    reply = ask(FakeAssistant(answer), conversation, "2 + 2?")
    events = [next(reply) for _ in range(4)]
    assert events[1:] == [TextDelta("hm"), AnswerWasReasoning(), TextDelta("Four")]
    gate.open()
    reply.close()
    (turn,) = stored(history, conversation)
    assert (turn.answer, turn.error) == ("Four", GIVEN_UP)


def test_a_message_is_stored_before_anything_runs_and_its_answer_with_its_receipt(history, conversation):
    fake = FakeAssistant(Answer(["one ", "two"]))
    reply = ask(fake, conversation, "hello")
    assert [(turn.text, turn.state, turn.pack) for turn in stored(history, conversation)] == [
        ("hello", "sent", "bundled")
    ]
    assert fake.calls == []
    done = reply.finish()
    (turn,) = stored(history, conversation)
    assert (turn.answer, turn.state, turn.error) == ("one two", "done", "")
    assert (turn.done.route.mix, turn.done.answer_tokens) == (done.route.mix, done.answer_tokens)


def test_another_answer_is_asked_for_with_the_finished_ones_that_stand_in_its_place(history, conversation):
    fake = FakeAssistant(Answer(["one"]), Answer(["two"], finish_reason="error"), Answer(["three"]), Answer(["four"]))
    for text, another in [("hello", False), ("hello", False), ("hi", False), ("hello", True)]:
        turn = store_message(conversation, text, parent=None, pack="bundled")
        answer_turn(fake, conversation, turn.id, another=another).finish()
    assert [[reply.answer for reply in call.earlier_answers] for call in fake.calls] == [[], [], [], ["one"]]


def test_the_end_is_stored_when_it_is_told(history, conversation):
    for event in ask(FakeAssistant(Answer(["one"])), conversation, "hello"):
        if isinstance(event, ReplyDone):
            assert stored(history, conversation)[0].state == "done"


def test_the_answer_is_stored_as_it_grows(history, conversation, monkeypatch):
    monkeypatch.setattr("dlp_local.conversation_turn.STORE_EVERY", 0)
    answers = [
        stored(history, conversation)[0].answer
        for event in ask(FakeAssistant(Answer(["one ", "two"])), conversation, "hello")
        if isinstance(event, TextDelta)
    ]
    assert answers == ["one ", "one two"]


def test_it_goes_on_from_the_answered_turns_before_it(conversation):
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]))
    ask(fake, conversation, "first").finish()
    ask(fake, conversation, "second", mix=Mix.of({"sql": 1.0})).finish()
    call = fake.calls[1]
    assert call.history == (Message("user", "first"), Message("assistant", "one"))
    assert call.previous is not None
    assert (call.previous.text, call.mix) == ("first", Mix.of({"sql": 1.0}))


def test_an_answer_goes_on_from_its_beginning(history, conversation):
    ask(FakeAssistant(Answer([" and on"])), conversation, "hello", answer_prefix="one").finish()
    assert stored(history, conversation)[0].answer == "one and on"


@pytest.mark.parametrize(
    ("error", "text"),
    [(InputError("Too long. Shorten it."), "Too long. Shorten it."), (ZeroDivisionError("x"), "ZeroDivisionError: x")],
)
def test_a_failed_answer_keeps_its_part_and_its_reason(history, conversation, error, text):
    with pytest.raises(type(error)):
        ask(FakeAssistant(Answer(["half", "x"], error=error)), conversation, "hello").finish()
    (turn,) = stored(history, conversation)
    assert (turn.answer, turn.state, turn.done) == ("half", "failed", None)
    assert text in turn.error


def test_an_engine_that_ends_in_the_middle_is_told(history, conversation):
    ask(FakeAssistant(Answer(["half"], finish_reason="error")), conversation, "hello").finish()
    (turn,) = stored(history, conversation)
    assert (turn.answer, turn.state, turn.error) == ("half", "failed", BROKEN_OFF)


def test_events_that_end_without_an_end_are_told(history, conversation):
    class Silent(FakeAssistant):
        def reply(self, *_, **__):
            return Job(lambda _: (event for event in [TextDelta("half")]))

    assert ask(Silent(), conversation, "hello").finish() == TextDelta("half")
    assert stored(history, conversation)[0].error == BROKEN_OFF


def test_an_answer_that_is_given_up_says_so(history, conversation):
    reply = ask(FakeAssistant(Answer(["half", "x"])), conversation, "hello")
    while not isinstance(next(reply), TextDelta):
        pass
    reply.close()
    (turn,) = stored(history, conversation)
    assert (turn.answer, turn.error) == ("half", GIVEN_UP)


def test_a_cancelled_answer_keeps_its_part_whichever_thread_cancels_it(history, conversation):
    gate = Gate()
    reply = ask(FakeAssistant(Answer(["part", "x"], gate=gate, before_gate=1)), conversation, "hello")
    reader = threading.Thread(target=reply.finish)
    reader.start()
    assert gate.reached.wait(30)
    reply.cancel()
    reader.join(30)
    (turn,) = stored(history, conversation)
    assert (turn.answer, turn.state) == ("part", "done")
    assert turn.done.finish_reason == "cancelled"


@pytest.mark.parametrize("text", ["", " \n", "half a \ud800"])
def test_what_cannot_be_answered_is_not_stored(history, conversation, text):
    with pytest.raises(InputError):
        store_message(conversation, text, parent=None)
    assert history.conversations() == []


def test_a_message_that_nobody_answers_has_its_reason(history, conversation):
    turn = store_message(conversation, "hello", parent=None)
    fail_turn(conversation, turn.id, str(EngineError("No pack.")))
    assert stored(history, conversation)[0].error == "No pack."
