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
     ("Hi.\n**No", "Hi.\n**No"), ("a User:", "a User:"), ("a\n- User", "a\n- User"), ("a\n<|us", "a"),
     ("a\n<div", "a\n<div"), ("a \r\n", "a")],
)  # fmt: skip
def test_only_what_may_become_a_next_turn_is_held_back(text, at_once):
    assert NextTurn().feed(text) == at_once
