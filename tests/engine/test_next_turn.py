"""Somebody's next turn in a stream of text: cut, however the text comes, and nothing held back without need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.engine.next_turn import NextTurn

PIECES = (
    "User",
    ":",
    "\n",
    "\r\n",
    " ",
    "**",
    "###",
    "Q",
    "You",
    "a",
    "word",
    "<|",
    "user",
    "|>",
    "[",
    "]",
    "Us",
    "er",
    "- ",
    "  ",
    "\t",
    " 1",
    "```",
    "#",
)


def passed(pieces):
    stream, shown = NextTurn(), ""
    for piece in pieces:
        shown += stream.feed(piece)
    return shown + stream.rest(), stream.hit


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_the_same_is_cut_however_the_text_comes(pieces):
    text = "".join(pieces)
    assert passed(pieces) == passed(text) == passed([text])
    shown, hit = passed([text])
    assert text.startswith(shown)
    assert hit or shown == text


@pytest.mark.parametrize(
    ("text", "at_once"),
    [("Hello", "Hello"), ("Hi,\nUse", "Hi,"), ("Hi,\nUsed", "Hi,\nUsed"), ("Hi.\n**", "Hi."),
     ("Hi.\n**No", "Hi.\n**No"), ("a User:", "a User:"), ("a\n- User", "a"),
     ("a\n- Use it", "a\n- Use it"), ("a\n  us", "a\n  us"), ("a\nUser 1", "a"), ("a\nUser 1 is", "a\nUser 1 is"),
     ("a\n<|us", "a"),
     ("a\n<div", "a\n<div"), ("a \r\n", "a")],
)  # fmt: skip
def test_only_what_may_become_a_next_turn_is_held_back(text, at_once):
    assert NextTurn().feed(text) == at_once


@pytest.mark.parametrize(
    "line",
    ["User: more?", "user: more?", "  User: more?", "\tUser: more?", "- User: more?", "* **User**: more?",
     "User 1: more?",
     "User #2: more?", "**User:** more?", "**Human 2:** more?", "### User: more?", "### User\nmore?", "> User: more?",
     "[User]: more?", "Q: more?", "You: more?", "USER: more?", "Human: more?", "<|user|>more?", "[INST] more?"],
)  # fmt: skip
@pytest.mark.parametrize("before", ["Yes.", "Yes:\n```\nUser: x\n```", "- one\n- two\n\nThat is all."])
def test_the_next_turn_is_cut_however_it_is_spelled(before, line):
    assert passed(f"{before}\n{line}") == passed([f"{before}\n{line}"]) == (before, True)


@pytest.mark.parametrize(
    "text",
    ["Fill in User: name and Password: x.", "```\nUser: root\nHost: a\n```", "~~~yaml\n  User: root\n~~~",
     "````\n```\nUser: x\n```\n````", "services:\n  user: root\n- user: x", "Users: 3\nUserid: 4", "the\nUser guide: x",
     "User's\nUser's: no", "Question 1: a\nQuestion 2: b", "if you: x\nyou: y\nq: z",
     "Roles:\n- User: may read\n- Admin: may write", "* User: x\n* System: y\n\n1. a\n  User: z"],
)  # fmt: skip
def test_a_name_in_prose_or_code_ends_no_answer(text):
    assert passed(text) == passed([text]) == (text, False)
