"""The conversation as a person has it: sending, reading, stopping, queueing, starting anew."""

from functools import partial

import pytest

from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import PromptProgress
from dlp_local.core.values import Message
from dlp_local.history import History
from dlp_local.history.model import BROKEN_OFF
from tests.support.fakes import Answer, FakeAssistant, Gate, loading
from tests.tui.window import READY, window
from tui.screens.chat import ChatScreen
from tui.state import Place
from tui.widgets.message import TurnView

pytestmark = pytest.mark.asyncio

RECEIPT = "sql 0.72 · shell 0.22 · base 0.06 · 2 ms route · 180 ms first token"


async def test_a_message_gets_its_answer_and_its_receipt():
    fake = FakeAssistant(Answer(["SELECT ", "name ", "FROM t"]))
    async with window(fake) as w:
        await w.type("names")
        await w.press("enter")
        await w.sees(" names", "SELECT name FROM t", RECEIPT, "96 tok/s", "0.2k/1k")
        assert w.prompt.text == ""


async def test_the_route_is_seen_before_the_first_word():
    gate = Gate()
    async with window(FakeAssistant(Answer(gate=gate))) as w:
        await w.say("hi")
        await w.sees("sql 0.72 · shell 0.22 · base 0.06 · 2 ms route", "· processing")
        gate.open()
        await w.sees("tok/s", READY)


async def test_the_assistant_is_told_the_conversation_and_the_last_route():
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]))
    async with window(fake) as w:
        await w.say_and_wait("first", "one")
        await w.say_and_wait("second", "two")
        first, second = fake.calls
        assert (first.history, first.previous) == ((), None)
        assert second.history == (Message("user", "first"), Message("assistant", "one"))
        assert second.previous is not None
        assert second.previous.text == "first"


async def test_after_an_answer_the_turn_is_warmed_in_the_same_thread():
    fake = FakeAssistant(Answer(["one"]))
    async with window(fake) as w:
        await w.say("first")
        await w.until(lambda: len(fake.warmed) == 2)
        assert fake.warmed == [(), (Message("user", "first"), Message("assistant", "one"))]
        assert len(fake.threads) == 1


async def test_a_new_message_interrupts_settling():
    gate = Gate()
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]), warm_gate=gate)
    async with window(fake) as w:
        await w.say("first")
        await w.until(gate.reached.is_set)
        await w.sees(READY)
        await w.say("second")
        await w.sees("two")


async def test_the_history_of_a_conversation_that_is_opened_is_read_at_once_and_a_message_does_not_wait_for_it():
    history, at_start, gate = History(None), Gate(), Gate()
    fake = FakeAssistant(warm_gate=at_start)
    turn = history.add_turn(history.start(), None, "long ago")
    history.finish(turn.id, "once", None)
    async with window(fake, history=history) as w:
        await w.until(at_start.reached.is_set)
        fake.reading, fake.warm_gate = (PromptProgress(1229, 4096), PromptProgress(2048, 4096)), gate
        at_start.open()
        await w.say("/open 1")
        await w.sees("long ago", "reading 2.0k of 4.0k")
        assert fake.warmed[-1] == (Message("user", "long ago"), Message("assistant", "once"))
        fake.reading = ()
        await w.say_and_wait("and now", "a fine answer")
        assert "reading" not in w.text()


async def test_what_is_read_in_a_moment_is_not_told():
    gate = Gate()
    fake = FakeAssistant(warm_gate=gate)
    fake.reading = (PromptProgress(2048, 2100),)
    async with window(fake) as w:
        await w.until(gate.reached.is_set)
        await w.sees(READY)
        assert w.session.status.reading is None


async def test_esc_stops_the_answer_and_keeps_the_part():
    gate = Gate()
    fake = FakeAssistant(Answer(["the part", " never seen"], gate=gate, before_gate=1), Answer(["next"]))
    async with window(fake) as w:
        await w.say("go on")
        await w.sees("the part", "· generating")
        await w.press("escape")
        await w.sees("the part", "stopped", READY)
        assert "never seen" not in w.text()
        await w.say("and now")
        await w.sees("next")
        assert fake.calls[1].history == (Message("user", "go on"), Message("assistant", "the part"))


async def test_a_stop_before_the_first_word_leaves_nothing_in_the_history():
    gate = Gate()
    fake = FakeAssistant(Answer(gate=gate), Answer(["next"]))
    async with window(fake) as w:
        await w.say("oh no")
        await w.until(gate.reached.is_set)
        await w.press("escape")
        await w.sees("stopped", READY)
        await w.say_and_wait("better", "next")
        assert fake.calls[1].history == ()


async def test_a_stop_is_not_lost_in_the_moment_before_the_reply_begins():
    class Slow(FakeAssistant):
        def reply(self, *arguments, **options):
            w.session.stop()
            return super().reply(*arguments, **options)

    async with window(Slow(Answer(["never ", "seen"], gate=Gate()))) as w:
        await w.say("go")
        await w.sees("stopped", READY)
        assert "never" not in w.text()


async def test_ctrl_c_stops_and_when_idle_quits():
    gate = Gate()
    async with window(FakeAssistant(Answer(["part", "rest"], gate=gate, before_gate=1))) as w:
        await w.say("go")
        await w.sees("part")
        await w.press("ctrl+c")
        await w.sees("stopped", READY)
        await w.press("ctrl+c")
        assert w.app.return_code == 0


async def test_an_answer_that_reached_the_limit_says_so():
    async with window(FakeAssistant(Answer(finish_reason="length"))) as w:
        await w.say_and_wait("long", "cut off at the limit")


async def test_messages_sent_while_busy_wait_their_turn():
    gate = Gate()
    fake = FakeAssistant(Answer(["one"], gate=gate), Answer(["two"]), Answer(["three"]))
    async with window(fake) as w:
        await w.say("first")
        await w.until(gate.reached.is_set)
        await w.say("second")
        await w.say("third")
        await w.until(lambda: w.text().count("queued") == 2)
        gate.open()
        await w.sees("one", "two", "three", READY)
        assert "queued" not in w.text()
        assert [call.text for call in fake.calls] == ["first", "second", "third"]
        assert len(fake.calls[2].history) == 4


async def test_ctrl_n_begins_anew_and_stops_what_runs():
    gate = Gate()
    fake = FakeAssistant(Answer(["one"]), Answer(["old part", "x"], gate=gate, before_gate=1), Answer(["fresh"]))
    async with window(fake) as w:
        await w.say_and_wait("first", "one")
        await w.say("second")
        await w.sees("old part")
        await w.say("waiting")
        await w.press("ctrl+n")
        await w.until(lambda: not w.app.screen.query(TurnView))
        await w.sees("Try for example", "░░░░░░░░░░ 0/1k", READY)
        await w.say_and_wait("third", "fresh")
        assert [call.text for call in fake.calls] == ["first", "second", "third"]
        assert fake.calls[-1].history == ()
        assert fake.calls[-1].previous is None
        assert "old part" not in w.text()


async def test_what_no_longer_fits_is_said_once():
    fake = FakeAssistant(Answer(["one"], trimmed=2), Answer(["two"], trimmed=2), Answer(["three"], trimmed=3))
    async with window(fake) as w:
        await w.say_and_wait("first", "one")
        await w.sees("The oldest 2 turns no longer fit and were left out of this answer.")
        await w.say_and_wait("second", "two")
        assert w.text().count("no longer fit") == 1
        await w.say_and_wait("third", "three")
        await w.sees("The oldest 3 turns no longer fit")


async def test_an_error_stands_under_its_message_and_the_next_one_works():
    fake = FakeAssistant(
        Answer(["half", "x"], error=InputError("The message is too long. Shorten it.")), Answer(["fine"])
    )
    async with window(fake) as w:
        await w.say("too long")
        await w.sees("too long", "half", "The message is too long. Shorten it.", READY)
        await w.say_and_wait("short", "fine")
        assert fake.calls[1].history == ()
        await w.sees("The message is too long. Shorten it.")


async def test_an_unexpected_error_is_told_calmly():
    fake = FakeAssistant(Answer(error=ZeroDivisionError("division by zero")), Answer(["fine"]))
    async with window(fake) as w:
        await w.say("boom")
        await w.sees("Something unexpected happened (ZeroDivisionError: division by zero)", READY)
        assert "Traceback" not in w.text()
        await w.say_and_wait("again", "fine")


async def test_an_answer_that_the_engine_broke_off_is_no_history():
    fake = FakeAssistant(Answer(["half"], finish_reason="error"), Answer(["fine"]))
    async with window(fake) as w:
        await w.say("first")
        await w.sees("half", BROKEN_OFF, READY)
        await w.say_and_wait("second", "fine")
        assert fake.calls[1].history == ()


async def test_the_window_is_there_while_the_pack_loads_and_a_message_waits():
    gate = Gate()
    fake = FakeAssistant(Answer(["done"]), greeting="I am the bundled demonstration.")
    async with window(loading(fake, gate), ready=False) as w:
        await w.until(gate.reached.is_set)
        await w.sees("loading …", "you can write already")
        await w.type("early")
        assert w.prompt.text == "early"
        await w.press("enter")
        await w.sees("early", "queued")
        gate.open()
        await w.sees("Try for example", "tar: extract archive.tar.gz into /tmp")
        await w.sees("I am the bundled demonstration.", "done", "first token", "bundled · 6 adapters · ready")


async def test_a_message_that_is_sent_before_the_first_paint_is_drawn(monkeypatch):
    after_paint = []
    monkeypatch.setattr(ChatScreen, "call_after_refresh", lambda _, *call: after_paint.append(partial(*call)))
    async with window(FakeAssistant(Answer(["done"])), ready=False) as w:
        await w.say("early")
        await w.sees(" early", "queued")
        for call in after_paint:
            call()
        await w.sees(" early", "done", READY)


async def test_a_pack_that_cannot_be_loaded_is_explained_and_the_shell_gets_the_code():
    gate = Gate()

    def fail() -> FakeAssistant:
        gate.wait()
        raise EngineError("backbone.gguf is not a GGUF file. Download the pack again.")

    async with window(fail, ready=False) as w:
        await w.say("early")
        gate.open()
        await w.sees("The pack could not be loaded", "backbone.gguf is not a GGUF file. Download the pack again.")
        await w.sees("not loaded", "Not answered: the pack could not be loaded.")
        await w.type("kept")
        await w.press("enter")
        assert w.prompt.text == "kept"
        await w.say("/export")
        await w.sees("name a file")
        await w.say("/quit")
        await w.until(lambda: w.app.return_code == EngineError.exit_code)


async def test_a_server_that_refuses_is_no_pack_that_cannot_be_loaded():
    def refuse() -> FakeAssistant:
        raise InputError("the server http://box:11500 refuses: it wants a key. Give one with --api-key-file.")

    async with window(refuse, size=(120, 40), ready=False, place=Place(server="http://box:11500")) as w:
        await w.say("early")
        await w.sees("The server cannot be used", "refuses: it wants a key. Give one with --api-key-file.")
        await w.sees("no server", "Not answered: the server cannot be used.", "No server answers.")


async def test_leaving_ends_a_running_answer_and_closes_the_assistant():
    gate = Gate()
    fake = FakeAssistant(Answer(["part", "x"], gate=gate, before_gate=1))
    async with window(fake) as w:
        await w.say("go")
        await w.sees("part")
        await w.press("ctrl+q")
        assert w.app.return_code == 0
    assert fake.closed
