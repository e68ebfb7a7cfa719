"""A conversation as a tree: editing, another answer, going on, stepping between alternatives, and finding it again."""

import asyncio

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Message, Mix
from dlp_local.history import History
from tests.support.fakes import Answer, FakeAssistant, Gate
from tests.tui.window import READY, SECONDS, long_conversation, window
from tui.widgets.message import TurnView
from tui.widgets.transcript import Transcript

pytestmark = pytest.mark.asyncio


async def test_an_edited_message_takes_the_place_of_the_old_one_which_stays_as_an_alternative():
    fake = FakeAssistant(Answer(["one"]), Answer(["two"]))
    async with window(fake) as w:
        await w.say_and_wait("frist", "one")
        await w.press("f2")
        await w.sees("Editing")
        assert w.prompt.text == "frist"
        w.prompt.fill("first")
        await w.press("enter")
        await w.sees("two", "‹ 2/2 ›", READY)
        assert "frist" not in w.text()
        assert fake.calls[1].history == ()
        await w.press("alt+left")
        await w.sees("frist", "one", "‹ 1/2 ›")
        await w.press("alt+right")
        await w.sees("two", "‹ 2/2 ›")


async def test_esc_gives_an_edit_up():
    async with window(FakeAssistant(Answer(["one"]))) as w:
        await w.say_and_wait("first", "one")
        await w.press("f2", "escape")
        assert w.prompt.text == ""
        await w.say_and_wait("second", "a fine answer")
        await w.sees("first", "second")


async def test_another_answer_is_asked_for_and_both_stay():
    fake = FakeAssistant(Answer(["one"]), Answer(["another"]))
    async with window(fake) as w:
        await w.say_and_wait("question", "one")
        await w.press("f3")
        await w.sees("another", "‹ 2/2 ›", READY)
        assert [call.text for call in fake.calls] == ["question", "question"]
        assert [[reply.answer for reply in call.earlier_answers] for call in fake.calls] == [[], ["one"]]
        await w.press("alt+left")
        await w.sees("one", "‹ 1/2 ›")


async def test_what_is_said_after_stepping_back_goes_on_from_there():
    fake = FakeAssistant(Answer(["one"]), Answer(["another"]), Answer(["next"]))
    async with window(fake) as w:
        await w.say_and_wait("question", "one")
        await w.press("f3")
        await w.sees("another", READY)
        await w.press("alt+left")
        await w.sees("‹ 1/2 ›")
        await w.say_and_wait("go on", "next")
        assert fake.calls[2].history == (Message("user", "question"), Message("assistant", "one"))


@pytest.mark.parametrize(("reason", "said"), [("length", "cut off at the limit"), ("error", "ended in the middle")])
async def test_an_answer_that_was_cut_or_broke_off_goes_on(reason, said):
    fake = FakeAssistant(Answer(["the first part"], finish_reason=reason), Answer([" and the rest"]))
    async with window(fake) as w:
        await w.say("long one")
        await w.sees(said, READY)
        await w.press("f5")
        await w.sees("the first part and the rest", READY)
        assert fake.calls[1].answer_prefix == "the first part"


async def test_an_answer_in_parts_goes_on_with_its_parts():
    parts = [("one", "shell", "ls"), ("two", "sql", "SELECT")]
    fake = FakeAssistant(Answer(parts=parts, finish_reason="length"), Answer([" -l"]))
    async with window(fake) as w:
        await w.say("both")
        await w.sees("cut off at the limit", READY)
        await w.press("f5")
        await w.sees("ls -l", READY)
        (call,) = fake.calls[1:]
        assert call.answer_prefix == "ls"
        assert [part.answer for part in call.begun_parts] == ["ls", "SELECT"]


async def test_an_earlier_message_is_marked_and_edited():
    async with window(FakeAssistant(Answer(["one"]), Answer(["two"]))) as w:
        await w.say_and_wait("first", "one")
        await w.say_and_wait("second", "two")
        await w.press("ctrl+up", "ctrl+up", "f2")
        await w.until(lambda: w.prompt.text == "first")


async def test_undo_takes_the_last_turn_back_to_be_written_anew():
    async with window(FakeAssistant(Answer(["one"]))) as w:
        await w.say_and_wait("first", "one")
        await w.say("/undo")
        await w.until(lambda: w.prompt.text == "first")
        assert "one" not in w.text()


async def test_a_conversation_is_there_when_the_window_is_opened_again(tmp_path):
    file = tmp_path / "history.db"
    history = History(file)
    async with window(FakeAssistant(Answer(["on", "e"])), history=history) as w:
        await w.say_and_wait("first", "one")
        number = w.session.conversation.number
    history.close()
    history, fake = History(file), FakeAssistant(Answer(["two"]))
    async with window(fake, history=history, number=number) as w:
        await w.sees("first", "one", "96 tok/s", "0.2k/1k")
        await w.say_and_wait("second", "two")
        assert fake.calls[0].history == (Message("user", "first"), Message("assistant", "one"))
    history.close()


async def test_the_message_is_stored_before_anything_is_answered(tmp_path):
    history, gate = History(tmp_path / "history.db"), Gate()
    async with window(FakeAssistant(Answer(["one"], gate=gate)), history=history) as w:
        await w.say("first")
        await w.until(gate.reached.is_set)
        (info,) = history.conversations()
        assert history.conversation(info.id).turns[0].text == "first"
        gate.open()
        await w.sees("one", READY)
    history.close()


async def test_a_turn_that_was_broken_off_by_a_kill_is_shown_with_its_part():
    history = History(None)
    number = history.start()
    history.write_answer(history.add_turn(number, None, "first").id, "the part")
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.sees("first", "the part", "ended in the middle")


async def test_a_draft_is_there_again():
    history = History(None)
    async with window(FakeAssistant(), history=history) as w:
        w.prompt.fill("not yet sent")
        await w.until(lambda: history.draft(None) == "not yet sent")
    async with window(FakeAssistant(), history=history) as w:
        await w.until(lambda: w.prompt.text == "not yet sent")
        await w.press("enter")
        await w.sees("a fine answer")
        assert history.draft(None) == ""


async def test_a_resumed_conversation_has_its_own_draft():
    history = History(None)
    number = history.start()
    history.add_turn(number, None, "first", "bundled")
    history.set_draft(number, "not yet sent")
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.until(lambda: w.prompt.text == "not yet sent")


async def test_where_nothing_can_be_stored_the_chat_goes_on_and_says_so(tmp_path):
    history = History(tmp_path / "history.db")
    history._database.execute("PRAGMA query_only = ON")
    async with window(FakeAssistant(Answer(["one"]), Answer(["two"])), history=history) as w:
        await w.say("first")
        await w.sees("one", "not saved")
        await w.say_and_wait("second", "two")
    history.close()


async def test_two_thousand_turns_are_drawn_as_one_scrolls_up():
    history = History(None)
    number, parent = history.start(), None
    for i in range(200):
        parent = history.add_turn(number, parent, f"message {i:04}").id
        history.finish(parent, f"answer {i:04}", None)
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.sees("answer 0199")
        assert len(w.turns) == 30
        for _ in range(40):
            await w.press("pageup")
            await w.pilot.pause(0.02)
            if len(w.turns) > 30:
                break
        assert len(w.turns) >= 60


async def test_another_conversation_is_opened_while_one_scrolls_up(monkeypatch):
    reached, gate, mounted = asyncio.Event(), asyncio.Event(), TurnView.on_mount

    async def on_mount(view):
        if view._turn.text == "message 05":
            reached.set()
            await gate.wait()
        await mounted(view)

    monkeypatch.setattr(TurnView, "on_mount", on_mount)
    history = History(None)
    number = long_conversation(history, 40)
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.sees("answer 39")
        w.chat.query_one(Transcript).scroll_home(animate=False)
        await asyncio.wait_for(reached.wait(), SECONDS)  # the pilot would wait for the turn that is held
        await asyncio.to_thread(w.session.new)
        for _ in range(20):
            await asyncio.sleep(0)
        gate.set()
        await w.until(lambda: not w.turns)
        await w.say_and_wait("hello", "a fine answer")


async def test_options_of_a_conversation_go_with_its_messages():
    fake = FakeAssistant(Answer(["one"]))
    async with window(fake) as w:
        await w.say("/temp 0.7")
        await w.say("/system Be brief.")
        await w.say("/mix sql=0.5")
        await w.sees("pinned sql 0.50")
        await w.say("/veto shell")
        await w.sees("without shell")
        await w.say_and_wait("hello", "one")
        wanted = ChatOptions(temperature=0.7, system="Be brief.", pinned={"sql": 0.5}, vetoed=("shell",))
        assert fake.calls[0].options == wanted
        assert w.session.history.conversations()[0].options == wanted
        assert fake.calls[0].options.mix == Mix.of({"sql": 0.5})


def drawn(w):
    """The messages that are drawn, from top to bottom."""
    views = sorted(w.turns.values(), key=lambda view: view.virtual_region.y)
    return [w.session.turn(view._turn.id).text for view in views]


async def test_turns_stay_in_order_whatever_changes_the_path():
    history = History(None)
    number = long_conversation(history, 40)
    async with window(FakeAssistant(), history=history, number=number) as w:
        await w.sees("answer 39")
        await w.say("/undo")
        await w.until(lambda: "answer 39" not in w.text())
        w.prompt.fill("")
        messages = [f"message {i:02}" for i in range(39)]
        await w.until(lambda: drawn(w) == messages[-len(w.turns) :])
        assert len(w.turns) >= 29
        for _ in range(12):
            await w.press("ctrl+up")
        await w.press("f2")
        await w.until(lambda: w.prompt.text.startswith("message"))
        edited = int(w.prompt.text.removeprefix("message "))
        w.prompt.fill("written anew")
        await w.press("enter")
        await w.sees("a fine answer", READY)
        path = [*messages[:edited], "written anew"]
        await w.until(lambda: drawn(w) == path[-len(w.turns) :])
        await w.press("alt+left")
        await w.sees("message 39")
        messages.append("message 39")
        await w.until(lambda: drawn(w) == messages[-len(w.turns) :])
