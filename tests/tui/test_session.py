"""The session by itself: two threads on one state, the queue, and stops that come at any moment."""

import sys
import threading
import time
from dataclasses import replace

import pytest

from dlp_local.history import NOT_SAVED, History
from dlp_local.history.open_conversation import OpenConversation
from tests.support.fakes import Answer, FakeAssistant, Gate
from tui.messages import PackUpdated, StatusChanged, TurnChanged
from tui.session import Session
from tui.session.shared_state import SharedState
from tui.state import Turn
from tui.widgets.status import who


def test_no_change_of_the_status_is_lost_between_two_threads():
    state = SharedState(OpenConversation(History(None)))
    lost = []

    def change(field):
        for value in range(1, 3000):
            state.update(**{field: value})
            if getattr(state.status, field) != value:
                lost.append((field, value))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=change, args=[field]) for field in ("context_used", "exit_code")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert lost == []


def test_the_last_status_that_is_posted_is_the_newest():
    state, posted = SharedState(OpenConversation(History(None))), []
    state.post_to(posted.append)
    threads = [threading.Thread(target=lambda: [state.update(context_used=n) for n in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert posted[-1].status is state.status


def test_that_a_conversation_is_not_stored_is_told_for_that_one_alone():
    state, other = SharedState(OpenConversation(History(None)), "only in memory"), OpenConversation(History(None))
    state.conversation.problem = "the disk is full"
    state.check_stored(state.conversation)
    assert state.status.notice == "the disk is full"
    state.open(other)
    assert state.status.notice == "only in memory"


class Opened:
    """A session without a window."""

    def __init__(self, fake, history=None):
        self.session, self.posted = Session(lambda _: fake, history or History(None)), []
        self.session.post_to(self.posted.append)
        self.session.start()

    def until(self, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, self.posted
            time.sleep(0.005)

    def __enter__(self):
        self.until(lambda: self.session.status.phase != "loading")
        return self

    def __exit__(self, *_):
        assert self.session.close()


def test_a_turn_is_shown_queued_processing_generating_and_done_in_this_order():
    with Opened(FakeAssistant(Answer(["one ", "two"]))) as opened:
        number = opened.session.send("hello").id
        opened.until(lambda: opened.session.turn(number).ended and not opened.session.busy)
        turns = [message.turn for message in opened.posted if isinstance(message, TurnChanged)]
        states = [turn.state for turn in turns]
        assert states == sorted(states, key=["queued", "processing", "generating", "done"].index)
        assert [turn.answer for turn in turns if turn.state == "generating"] == ["one ", "one two"]
        phases = [message.status.phase for message in opened.posted if isinstance(message, StatusChanged)]
        assert phases[-1] == "ready"


def test_a_correction_is_known_before_the_next_message_is_answered_though_a_change_of_the_pack_takes_long():
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]))
    fake.change_gate = gate = Gate()
    with Opened(fake) as opened:
        turn = opened.session.send("hello").id
        opened.until(lambda: opened.session.turn(turn).ended)
        opened.session.change_pack("removing sql", "gone", lambda assistant: assistant.remove_adapter("sql"))
        assert gate.reached.wait(30)
        opened.session.correct(turn, "dates")
        opened.session.send("hello again")
        assert len(fake.calls) == 1
        gate.open()
        opened.until(lambda: len(fake.calls) == 2)
        assert fake.corrected == [("hello", "dates")]
        assert [(each.text, each.right) for each in opened.session.history.corrections()] == [("hello", "dates")]


def test_a_message_that_is_taken_back_before_its_turn_comes_is_not_answered():
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]))
    fake.change_gate = gate = Gate()
    with Opened(fake) as opened:
        session = opened.session
        session.change_pack("removing sql", "gone", lambda assistant: assistant.remove_adapter("sql"))
        assert gate.reached.wait(30)
        first, second = session.send("first").id, session.send("second").id
        assert session.undo() == "second"
        gate.open()
        opened.until(lambda: session.turn(first).ended)
        last = session.send("third").id
        opened.until(lambda: session.turn(last).ended)
        assert [call.text for call in fake.calls] == ["first", "third"]
        assert session.conversation[second].error == "Not answered: it was taken back."


def test_the_end_of_an_answer_is_told_after_a_path_in_which_it_had_not_ended():
    class Conversation(OpenConversation):
        """`meanwhile` happens while a view of it is made, once its turns have been read."""

        meanwhile = None

        @property
        def title(self):
            if self.meanwhile:
                self.meanwhile.start()
                self.meanwhile.join(0.2)
            return ""

        @title.setter
        def title(self, _):
            pass

    conversation = Conversation(History(None))
    running = Turn.from_stored(conversation.add("hello", None, ""), (1, 1))
    state, posted = SharedState(conversation), []
    state.post_to(posted.append)
    ended = replace(running, state="done")
    conversation.meanwhile = threading.Thread(target=state.show_turn, args=[conversation, ended])
    state.show_path()
    conversation.meanwhile.join()
    path, last = posted
    assert path.view.turns == (running,)
    assert last.turn == ended


def test_a_correction_that_the_router_does_not_take_is_told_and_the_next_message_is_answered():
    class Refuses(FakeAssistant):
        def correct(self, text, right):
            raise RuntimeError("no more room")

    with Opened(Refuses(Answer(["one"]), Answer(["two"]))) as opened:
        turn = opened.session.send("hello").id
        opened.until(lambda: opened.session.turn(turn).ended)
        opened.session.correct(turn, "dates")
        after = opened.session.send("hello again").id
        opened.until(lambda: opened.session.turn(after).ended)
        assert opened.session.turn(after).answer == "two"
        assert any("no more room" in message.problem for message in opened.posted if isinstance(message, PackUpdated))


def test_what_waits_for_a_pack_that_cannot_be_loaded_is_refused_whenever_it_was_asked_for():
    def refuse(_):
        raise RuntimeError("no")

    session = Session(refuse, History(None))
    early = session.send("early").id
    session.start()
    opened = Opened.__new__(Opened)
    opened.session, opened.posted = session, []
    opened.until(lambda: session.turn(early).ended)
    late = session.retry(early).id
    opened.until(lambda: session.turn(late).ended)
    assert {session.turn(number).error for number in (early, late)} == {"Not answered: the pack could not be loaded."}
    assert session.status.phase == "failed"
    assert session.close()


def test_another_pack_answers_from_the_next_message_on_and_one_that_cannot_be_opened_changes_nothing():
    first, second = FakeAssistant(Answer(["one"])), FakeAssistant(Answer(["two"]))
    second.name = "other"

    def open_pack(name):
        if name == "missing":
            raise RuntimeError("there is none")
        return second if name == "other" else first

    session = Session(open_pack, History(None))
    opened = Opened.__new__(Opened)
    opened.session, opened.posted = session, []
    session.post_to(opened.posted.append)
    session.start()
    opened.until(lambda: session.status.phase == "ready")
    session.switch_pack("missing")
    opened.until(lambda: any("there is none" in getattr(message, "problem", "") for message in opened.posted))
    assert session.status.name == "bundled"
    session.switch_pack("other")
    opened.until(lambda: session.status.name == "other" and first.closed)
    turn = session.send("hello").id
    opened.until(lambda: session.turn(turn).ended)
    assert (session.turn(turn).answer, session.conversation[turn].pack) == ("two", "other")
    assert session.close()
    assert second.closed


@pytest.mark.parametrize(
    ("notice", "is_unsaved"), [(f"a: is locked. {NOT_SAVED}", True), ("a new one was begun.", False)]
)
def test_only_what_is_not_kept_is_said_not_to_be_saved(notice, is_unsaved):
    session = Session(lambda _: FakeAssistant(), History(None), notice)
    assert session.status.is_unsaved is is_unsaved
    assert ("not saved" in who(replace(session.status, phase="ready"))) is is_unsaved
    session.new()
    assert session.status.is_unsaved is is_unsaved
