"""Conversations that are found again: the list, its search, and the turn that a search opens at."""

import pytest

from dlp_local.core.user_message import Attachment, UserMessage
from dlp_local.history import History
from tests.support.fakes import FakeAssistant
from tests.tui.window import READY, long_conversation, window


async def test_ctrl_o_finds_opens_renames_pins_and_deletes():
    history = History(None)
    for text, answer in (("about cats", "meow"), ("about dogs", "woof")):
        turn = history.add_turn(history.start(), None, text)
        history.finish(turn.id, answer, None)
    async with window(FakeAssistant(), history=history) as w:
        await w.press("ctrl+o")
        await w.sees("about cats", "about dogs", "2 conversations")
        await w.type("meo")
        await w.sees("1 found")
        assert "about dogs" not in w.text()
        await w.press("enter")
        await w.sees("about cats", "meow", READY)
        await w.press("ctrl+o")
        await w.sees("about dogs")
        await w.press("f2")
        await w.sees("new title")
        await w.press("end", *["backspace"] * 40)
        await w.type("pets")
        await w.press("enter")
        await w.sees("pets")
        await w.press("f3")
        await w.until(lambda: history.conversations()[0].pinned)
        await w.press("f8")
        await w.until(lambda: len(history.conversations()) == 1)
        await w.press("ctrl+z")
        await w.until(lambda: len(history.conversations()) == 2)


@pytest.mark.parametrize("key", ["f2", "f3", "f8", "enter"])
async def test_a_conversation_that_is_gone_meanwhile_is_told_in_the_list(key):
    history = History(None)
    turn = history.add_turn(history.start(), None, "about cats")
    history.finish(turn.id, "meow", None)
    async with window(FakeAssistant(), history=history) as w:
        await w.press("ctrl+o")
        await w.sees("about cats", "1 conversation")
        history.purge(1)
        await w.press(key)
        await w.sees("there is no conversation 1")
        await w.press("escape")
        await w.until(lambda: w.app.screen is w.chat)
        await w.say_and_wait("go on", "a fine answer")


async def test_a_search_opens_at_the_turn_it_found_on_whatever_branch_and_marks_it():
    history = History(None)
    number = long_conversation(history, 45)
    first = history.conversation(number).turns[2]
    other = history.add_turn(number, first.parent, "a needle")
    history.finish(other.id, "on another branch", None)
    history.set_tip(number, history.conversation(number).turns[44].id)
    async with window(FakeAssistant(), history=history) as w:
        await w.say("/search 03")
        await w.sees("message 03")
        await w.press("enter")
        await w.sees("message 03", READY)
        await w.until(lambda: [w.session.turn(n).text for n, v in w.turns.items() if v.has_class("marked")])
        assert [w.session.turn(n).text for n, v in w.turns.items() if v.has_class("marked")] == ["message 03"]
        await w.press("escape")
        await w.say("/search needle")
        await w.sees("1 found")
        await w.press("enter")
        await w.sees("a needle", "on another branch", "message 01", READY)


def marked_words(w):
    """What is drawn bold, with its colors the other way round."""
    strips = w.app.screen._compositor.render_strips()
    return [s.text for strip in strips for s in strip if s.style and s.style.reverse and s.style.bold]


async def test_the_hit_is_seen_in_the_list_however_late_it_stands_in_its_line():
    history = History(None)
    turn = history.add_turn(history.start(), None, "a long way to go before the needle comes at last, and some more")
    history.finish(turn.id, "yes", None)
    async with window(FakeAssistant(), history=history, size=(80, 24)) as w:
        await w.say("/search needle")
        await w.sees("1 found", "…", "before the needle")
        assert "needle" in marked_words(w)


async def test_the_words_of_a_search_are_marked_where_they_stand_until_esc():
    history = History(None)
    number = history.start()
    turn = history.add_turn(number, None, "where is the needle")
    lines = "\n".join(f"- line {i}" for i in range(60))
    history.finish(turn.id, f"# Hay\n\n{lines}\n\nThe **needle** is `here`.\n\n```\nneedles = 1\n```", None)
    last = history.add_turn(number, turn.id, "thanks")
    history.finish(last.id, "you are welcome", None)
    async with window(FakeAssistant(), history=history, size=(80, 24)) as w:
        await w.say("/search needle")
        await w.sees("1 found")
        await w.press("enter")
        await w.sees("where is the needle", READY)
        await w.until(lambda: marked_words(w) == ["needle"])
        await w.say("/search here needle")
        await w.sees("1 found")
        await w.press("enter")
        await w.until(lambda: "needle" in marked_words(w))
        await w.press("escape")
        await w.until(lambda: not marked_words(w))


async def test_a_search_opens_at_the_line_of_its_hit_in_a_long_answer_and_in_an_attached_file():
    history = History(None)
    number = history.start()
    message = str(UserMessage("look", (Attachment("a pin", "notes.txt"),)))
    turn = history.add_turn(number, None, message)
    history.finish(turn.id, "\n\n".join([*(f"line {i}" for i in range(60)), "a needle", *["more"] * 40]), None)
    async with window(FakeAssistant(), history=history, size=(80, 24)) as w:
        await w.say("/search needle")
        await w.sees("1 found")
        await w.press("enter")
        await w.until(lambda: marked_words(w) == ["needle"])
        await w.say("/search pin")
        await w.sees("1 found")
        await w.press("enter")
        await w.until(lambda: marked_words(w) == ["pin"])
