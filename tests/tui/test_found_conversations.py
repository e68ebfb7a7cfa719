"""Conversations that are found again: the list, its search, and the turn that a search opens at."""

import re

import pytest
from rich.cells import cell_len

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.user_message import Attachment, UserMessage
from dlp_local.history import History
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn
from tests.support.fakes import FakeAssistant
from tests.tui.window import READY, long_conversation, window


def answered(*texts):
    """A history of conversations of one turn each."""
    history = History(None)
    for text in texts:
        history.finish(history.add_turn(history.start(), None, text).id, "yes", None)
    return history


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


async def test_titles_of_wide_characters_leave_the_columns_behind_them_where_they_are():
    history = answered("日本語のとても長い題名で列がずれないことを確かめるためのもの", "plain", "a" * 90)
    async with window(FakeAssistant(), size=(60, 24), history=history) as w:
        await w.press("ctrl+o")
        await w.sees("日本語", "plain", "aaa", "3 conversations")
        lines = [line for line in w.text().splitlines() if "1 turn " in line]
        assert len({cell_len(line.partition("1 turn ")[0]) for line in lines}) == 1
        assert all(re.search(r"1 turn  \d\d \w+ \d\d:\d\d ", line) for line in lines)
        assert len(lines) == 3
        await w.pilot.resize_terminal(120, 24)
        await w.sees("a" * 40)


async def test_a_conversation_of_another_year_has_its_year():
    history = History(None)
    turns = (StoredTurn(1, None, "long ago", "yes", "done"),)
    at = "2019-03-05T10:00:00+00:00"
    info = ConversationInfo(1, "long ago", False, 1, at, at, 1, ChatOptions())
    history.insert(Conversation(info, turns))
    async with window(FakeAssistant(), history=history) as w:
        await w.press("ctrl+o")
        await w.sees("05 Mar  2019")


async def test_esc_gives_a_new_title_up_and_brings_back_what_was_searched_for():
    history = answered("about cats", "about dogs")
    async with window(FakeAssistant(), history=history) as w:
        await w.press("ctrl+o")
        await w.type("cats")
        await w.sees("1 found")
        await w.press("f2")
        await w.sees("Write the new title")
        await w.type(" and mice")
        await w.press("escape")
        await w.sees("1 found")
        assert sorted(info.title for info in history.conversations()) == ["about cats", "about dogs"]
        await w.press("escape")
        await w.until(lambda: w.app.screen is w.chat)


async def test_the_open_conversation_that_is_deleted_is_left_for_a_new_one():
    history = History(None)
    async with window(FakeAssistant(), history=history) as w:
        await w.say_and_wait("about cats", "a fine answer")
        await w.press("ctrl+o")
        await w.sees("1 conversation")
        await w.press("f8", "f8")
        await w.sees("Nothing is stored yet.")
        await w.press("escape")
        await w.until(lambda: w.session.conversation.number is None)
        await w.say_and_wait("about dogs", "a fine answer")
        assert [info.title for info in history.conversations()] == ["about dogs"]


async def test_a_list_that_is_not_whole_says_so(monkeypatch):
    monkeypatch.setattr("tui.screens.conversations.MOST", 2)
    history = answered("about cats", "about dogs", "about mice")
    async with window(FakeAssistant(), history=history) as w:
        await w.press("ctrl+o")
        await w.sees("The newest 2; a search finds the others, too")
        await w.type("cats")
        await w.sees("1 found")
