"""What was written but not sent: kept however one leaves, and each window's own."""

import threading

import pytest
from textual import events

from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant
from tests.tui.window import READY, window

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("leave", [("ctrl+q",), ("ctrl+c",), ("ctrl+o", "ctrl+q")])
async def test_a_draft_is_kept_though_one_leaves_at_once(leave):
    history = History(None)
    async with window(FakeAssistant(), history=history) as w:
        await w.type("not sent")
        await w.press(*leave)
        await w.until(lambda: w.app.return_code == 0)
    async with window(FakeAssistant(), history=history) as w:
        await w.until(lambda: w.prompt.text == "not sent")


@pytest.mark.parametrize("key", ["ctrl+q", "ctrl+n"])
async def test_letters_that_come_in_one_burst_with_a_key_are_in_the_draft(key):
    history = History(None)
    async with window(FakeAssistant(), history=history) as w:
        await w.sees(READY)
        for letter in "burst":
            w.app.post_message(events.Key(letter, letter))
        w.app.post_message(events.Key(key, None))
        if key == "ctrl+q":
            await w.until(lambda: w.app.return_code == 0)
        await w.until(lambda: history.draft(None) == "burst")


async def test_what_is_written_after_ctrl_n_is_for_the_new_conversation_however_long_that_takes_to_open(monkeypatch):
    history, reached, gate = History(None), threading.Event(), threading.Event()
    async with window(FakeAssistant(Answer(["one"])), history=history) as w:
        await w.say_and_wait("first", "one")
        number, begin = w.session.conversation.number, w.session.new
        monkeypatch.setattr(w.session, "new", lambda options: (reached.set(), gate.wait(30), begin(options)))
        await w.type("old")
        await w.press("ctrl+n")
        await w.until(reached.is_set)
        await w.type(" and new")
        gate.set()
        await w.until(lambda: w.prompt.text == " and new" and history.draft(number) == "old")
        await w.press("enter")
        await w.sees("a fine answer", READY)
        assert [turn.text for turn in w.session.conversation.path()] == ["and new"]


async def test_a_draft_stays_with_its_conversation_though_one_goes_to_another_at_once():
    history = History(None)
    async with window(FakeAssistant(Answer(["one"])), history=history) as w:
        await w.say_and_wait("first", "one")
        number = w.session.conversation.number
        await w.type("not sent")
        await w.press("ctrl+n")
        await w.until(lambda: w.session.conversation.number is None and not w.prompt.text)
        await w.say(f"/open {number}")
        await w.sees("first", READY)
        await w.until(lambda: w.prompt.text == "not sent")
        await w.press("ctrl+n")
        await w.until(lambda: not w.prompt.text)


async def test_what_was_sent_is_no_draft_any_more():
    history = History(None)
    async with window(FakeAssistant(), history=history) as w:
        await w.say_and_wait("sent", "a fine answer")
        await w.press("ctrl+q")
        await w.until(lambda: w.app.return_code == 0)
        number = w.session.conversation.number
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.sees("sent")
        assert w.prompt.text == ""


async def test_each_window_has_its_own_draft_and_one_is_offered_again_when_its_window_is_gone(tmp_path):
    first, second = (History(tmp_path / "history.db") for _ in range(2))
    async with window(FakeAssistant(), history=first) as w:
        await w.type("of the first")
        await w.until(lambda: first.draft(None) == "of the first")
        async with window(FakeAssistant(), history=second) as other:
            await other.pilot.pause(0.1)
            assert other.prompt.text == ""
            await other.say_and_wait("sent by the second", "a fine answer")
            assert first.draft(None) == "of the first"
            await other.press("ctrl+n")
            await other.until(lambda: other.session.conversation.number is None)
            await other.type("of the second")
            await other.press("ctrl+q")
            await other.until(lambda: other.app.return_code == 0)
        second.close()
        third = History(tmp_path / "history.db")
        async with window(FakeAssistant(), history=third) as other:
            await other.until(lambda: other.prompt.text == "of the second")
        third.close()
    first.close()
