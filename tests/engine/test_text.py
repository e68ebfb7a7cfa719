"""Tokens' bytes → text, and stop strings."""

import codecs
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import EngineError
from dlp_local.core.events import HistoryTrimmed, TextDelta
from dlp_local.engine.text import FRAME, StopStrings, join_deltas, whole_characters


def cut(data, cuts):
    edges = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_text_survives_any_cut_between_its_bytes(text, cuts):
    raw = text.encode()
    assert "".join(whole_characters(cut(raw, cuts))) == text


@given(st.binary(), st.lists(st.integers(0, 1000)))
def test_bytes_that_are_no_utf8_become_replacement_characters(raw, cuts):
    assert "".join(whole_characters(cut(raw, cuts))) == codecs.getincrementaldecoder("utf-8")("replace").decode(raw)


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


TRIMMED = HistoryTrimmed(1)
arrivals = st.lists(
    st.tuples(st.floats(0, 2 * FRAME), st.one_of(st.just(TRIMMED), st.builds(TextDelta, st.text("ab"))))
)


def shown(events):
    """The text between the other events."""
    parts = [""]
    for event in events:
        if isinstance(event, TextDelta):
            parts[-1] += event.text
        else:
            parts.append("")
    return parts


@given(arrivals)
def test_texts_by_the_frame_are_the_same_text_between_the_same_events(arrivals):
    now = 1.0

    def run():
        nonlocal now
        for pause, event in arrivals:
            now += pause
            yield event

    said, at = [], []
    for event in join_deltas(run(), lambda: now):
        said.append(event)
        at.append(now)
    assert shown(said) == shown(event for _, event in arrivals)
    assert all(event.text for event in said if isinstance(event, TextDelta))
    last = len(said) - 1
    for place, ((before, first), (after, second)) in enumerate(pairwise(zip(at, said, strict=True)), 1):
        hurried = place == last or said[place + 1] is TRIMMED
        if isinstance(first, TextDelta) and isinstance(second, TextDelta) and not hurried:
            assert after - before >= FRAME


def test_the_first_text_comes_at_once_and_the_last_before_an_error():
    def failing():
        yield TextDelta("a")
        yield TextDelta("b")
        raise EngineError("no more")

    events = join_deltas(failing(), lambda: 1.0)
    assert next(events) == TextDelta("a")
    assert next(events) == TextDelta("b")
    with pytest.raises(EngineError, match="no more"):
        next(events)


@pytest.mark.parametrize("end", range(1, 4))
def test_an_answer_never_ends_inside_a_character(end):
    assert "".join(whole_characters([b"Hi", "😀".encode()[:end]])) == "Hi"
