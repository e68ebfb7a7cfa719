"""Requests beside longer texts: the texts, where they are cut, and that their ends bring requests home."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.experiments.test_parts import section
from tools.experiments import long_messages
from tools.experiments.router import message_router


@pytest.mark.parametrize("text", long_messages.TEXTS, ids=lambda path: path.name)
def test_a_text_is_longer_than_what_is_cut_from_it(text):
    assert len(text.read_text("utf-8").strip()) > max(long_messages.LENGTHS)


def test_there_are_a_letter_prose_a_log_a_license_and_code():
    names = [path.name for path in long_messages.TEXTS]
    assert names == ["article.txt", "letter.txt", "log.txt", "story.txt", "LICENSE", "dates.py"]


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("It rained. The sun came out.", 22, "It rained. The sun cam"),
        ("It rained all day. The sun came out.", 22, "It rained all day."),
        ("one line\nanother line", 12, "one line"),
        ("short", 100, "short"),
    ],
)
def test_a_beginning_ends_with_a_line_or_a_sentence(text, length, expected):
    assert long_messages.beginning(text, length) == expected


@given(st.text(alphabet="ab. \n", max_size=60), st.integers(1, 60))
def test_a_beginning_is_no_longer_and_begins_the_text(text, length):
    cut = long_messages.beginning(text, length)
    assert len(cut) <= length
    assert text.strip().startswith(cut.strip())


class OfLetters(long_messages.Bench):
    """Knows a whole text by its first letter, and its ends by the last one."""

    def by_the_whole(self, text):
        return text[0]

    def routed(self, text):
        return text[-1]


def test_both_ways_are_judged_by_the_same_messages():
    bench = OfLetters(None)
    found = bench.judged([("ab", "a"), ("aa", "a"), ("bb", "a"), ("aa", "a")])
    assert found == {"messages": 4, "whole": 0.75, "ends": 0.5}
    assert bench.judged([]) == {"messages": 0, "whole": None, "ends": None}


def test_the_requests_are_short_rows_of_adapters_that_are_routed_right(setup):
    bench = long_messages.Bench(message_router(setup))
    asked = long_messages.requests(setup, bench)
    valid = setup.recipe.corpus.valid(setup.data)
    assert 0 < len(asked) <= long_messages.REQUESTS * len(setup.recipe.corpus.tasks)
    assert all(text in valid[label] and bench.by_the_whole(text) == label for text, label in asked)


def test_a_request_beside_a_text_is_found_by_the_ends(setup, monkeypatch):
    monkeypatch.setattr(long_messages, "LENGTHS", (1100,))
    monkeypatch.setattr(long_messages, "TEXTS", [path for path in long_messages.TEXTS if path.name == "story.txt"])
    found = long_messages.joined(setup)
    of = found["lengths"]["1100"]
    assert of["before"]["messages"] == of["after"]["messages"] == found["requests"]
    assert of["alone"]["messages"] == 1
    for place in ("before", "after"):
        assert of[place]["ends"] > of[place]["whole"]
        assert of[place]["ends"] > 0.8
    assert f"| 1100 | {100 * of['before']['whole']:.1f} |" in section(long_messages.PART, joined=found)


def test_only_long_rows_are_judged_on_their_own(setup, monkeypatch):
    assert long_messages.rows(setup) == {}
    monkeypatch.setattr(long_messages, "LONG", 60)
    found = long_messages.rows(setup)
    assert set(found) == {"describe", "sql"}
    assert found["sql"]["messages"] == 4
    assert found["sql"]["ends"] == 1.0
    assert "| sql | 4 | 100.0 | 100.0 |" in section(long_messages.PART, rows=found)
