"""Tokens' bytes → text, and stop strings."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dlp_local.engine.text import StopStrings, whole_characters


def cut(data, cuts):
    edges = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_text_survives_any_cut_between_its_bytes(text, cuts):
    raw = text.encode()
    assert "".join(whole_characters(cut(raw, cuts))) == text


@given(st.binary(), st.lists(st.integers(0, 1000)))
def test_bytes_that_are_no_utf8_become_replacement_characters(raw, cuts):
    assert "".join(whole_characters(cut(raw, cuts))) == raw.decode("utf-8", "replace")


def test_a_character_comes_with_its_last_byte():
    assert list(whole_characters([b"\xf0\x9f", b"\x98", b"\x80!"])) == ["", "", "😀!"]


@given(st.text("ab\n", max_size=40), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.data())
def test_nothing_from_a_stop_string_on_is_shown_however_the_text_is_cut(text, stops, data):
    pieces = cut(text, data.draw(st.lists(st.integers(0, 40))))
    filter_ = StopStrings(stops)
    shown = ""
    for piece in pieces:
        shown += filter_.feed(piece)
        if filter_.hit:
            break
    shown += filter_.rest()
    assert not any(stop in shown for stop in stops)
    assert text.startswith(shown)
    if not any(stop in text for stop in stops):
        assert shown == text
        assert not filter_.hit
    else:
        assert filter_.hit


def test_text_is_held_back_only_while_it_may_start_a_stop_string():
    stops = StopStrings(["END"])
    assert stops.feed("a E") == "a "
    assert stops.feed("N") == ""
    assert stops.feed("T") == "ENT"
    assert not stops.hit
