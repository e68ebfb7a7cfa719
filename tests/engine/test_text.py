"""Stop strings, and longer deltas."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.events import HistoryTrimmed, ReasoningDelta, TextDelta
from dlp_local.engine.text import FRAME, JoinedDeltas, StopStrings


def cut(data, cuts):
    edges = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


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


def joined(events, clock):
    """What is passed on of these events, each as soon as it is."""
    deltas = JoinedDeltas(clock)
    for event in events:
        yield from deltas.feed(event)
    yield from deltas.rest()


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
    for event in joined(run(), lambda: now):
        said.append(event)
        at.append(now)
    assert shown(said) == shown(event for _, event in arrivals)
    assert all(event.text for event in said if isinstance(event, TextDelta))
    last = len(said) - 1
    for place, ((before, first), (after, second)) in enumerate(pairwise(zip(at, said, strict=True)), 1):
        hurried = place == last or said[place + 1] is TRIMMED
        if isinstance(first, TextDelta) and isinstance(second, TextDelta) and not hurried:
            assert after - before >= FRAME


def test_the_first_text_comes_at_once_and_what_is_held_back_at_the_end():
    deltas = JoinedDeltas(lambda: 1.0)
    assert list(deltas.feed(TextDelta("a"))) == [TextDelta("a")]
    assert list(deltas.feed(TextDelta("b"))) == []
    assert list(deltas.rest()) == [TextDelta("b")]


def test_reasoning_and_answer_are_not_joined():
    events = [ReasoningDelta("a"), ReasoningDelta("b"), ReasoningDelta("c"), TextDelta("d"), TextDelta("e")]
    assert list(joined(events, lambda: 0.0)) == [
        ReasoningDelta("a"),
        ReasoningDelta("bc"),
        TextDelta("d"),
        TextDelta("e"),
    ]
