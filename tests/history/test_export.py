"""Conversations as files: JSON gives back what was written, and no text of a conversation becomes markup."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import FinishReason, Mix, Route
from dlp_local.history import History
from dlp_local.history.export import export, to_html, to_json, to_markdown
from dlp_local.history.imports import conversations_from_json
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.floats(0, 1e6, allow_nan=False).map(lambda number: round(number, 3))
AT = "2026-01-02T03:04:05+00:00"
times = st.datetimes(datetime(1970, 1, 3), timezones=st.just(UTC)).map(datetime.isoformat)
weights = st.dictionaries(
    st.from_regex("[a-z]{1,6}", fullmatch=True).filter(lambda n: n != "base"), st.floats(0.05, 0.3), max_size=3
)


@st.composite
def replies(draw, text, answer, parts_of=2):
    parts = tuple(draw(replies(draw(words), draw(words), 0)) for _ in range(draw(st.sampled_from([0, parts_of]))))
    mix = Mix.of(draw(weights))
    probabilities = draw(st.dictionaries(words, st.floats(0, 1).map(lambda p: round(p, 6)), max_size=3))
    route = Route(text, probabilities, mix, draw(numbers), draw(numbers), tuple(part.route for part in parts))
    return ReplyDone(
        text,
        answer,
        route,
        draw(st.sampled_from(get_args(FinishReason))),
        draw(st.integers(0, 9999)),
        draw(st.integers(0, 9999)),
        draw(st.integers(0, 9999)),
        draw(st.integers(0, 9999)),
        Timings(draw(numbers), draw(numbers), draw(numbers)),
        error=draw(words),
        parts=parts,
    )


@st.composite
def conversations(draw):
    turns = []
    for number in range(1, 1 + draw(st.integers(0, 5))):
        parent = draw(st.sampled_from([None, *(turn.id for turn in turns)]))
        text, answer = draw(words), draw(words)
        done = draw(st.none() | replies(text, answer))
        state = draw(st.sampled_from(["sent", "done", "failed"]))
        turns.append(StoredTurn(number, parent, text, answer, state, draw(words), done, draw(words), draw(words)))
    options = ChatOptions(
        system=draw(st.none() | words), seed=draw(st.none() | st.integers(0, 99)), pinned=draw(st.none() | weights)
    )
    tip = draw(st.sampled_from([None, *(turn.id for turn in turns)]))
    created, changed = draw(times), draw(times)
    info = ConversationInfo(0, draw(words), draw(st.booleans()), len(turns), created, changed, tip, options)
    return Conversation(info, tuple(turns))


@given(conversations())
def test_json_gives_the_conversation_back_unchanged(conversation):
    assert conversations_from_json(to_json(conversation)) == (conversation,)


@settings(deadline=None)
@given(conversations())
def test_an_import_stores_what_an_export_wrote(conversation):
    history = History(None)
    (exported,) = conversations_from_json(to_json(conversation))
    stored = history.conversation(history.insert(exported))
    assert [(t.text, t.answer, t.state, t.done, t.pack) for t in stored.turns] == [
        (t.text, t.answer, t.state, t.done, t.pack) for t in conversation.turns
    ]
    assert [t.text for t in stored.path()] == [t.text for t in conversation.path()]
    assert stored.info.options == conversation.info.options
    history.close()


class Page(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


def conversation_of(text, answer, title="title"):
    done = ReplyDone(
        text, answer, Route(text, {"sql": 1.0}, Mix.of({"sql": 1.0}), 1, 1), "stop", 1, 9, 10, 99, Timings(2, 20, 60)
    )
    turn = StoredTurn(1, None, text, answer, "done", "", done)
    return Conversation(ConversationInfo(0, title, False, 1, AT, AT, 1, ChatOptions()), (turn,))


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) ![x](http://example.org/x.png)"
)


@pytest.mark.parametrize("place", ["text", "answer", "title"])
def test_nothing_that_was_said_becomes_a_tag_of_the_page(place):
    said = {"text": "a", "answer": "b", "title": "c"} | {place: HOSTILE}
    page = Page(to_html(conversation_of(**said)))
    assert not page.tags & {"script", "img", "iframe"}
    assert not [link for link in page.links if link.startswith("javascript")]
    assert "alert(1)" in page.text


def test_the_page_needs_nothing_else():
    page = to_html(conversation_of("a", "b"))
    assert "http" not in page
    assert page.startswith("<!doctype html>")


def test_escape_sequences_are_signs_in_every_format():
    conversation = conversation_of("\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J")
    for text in (to_markdown(conversation), to_html(conversation), to_json(conversation)):
        assert "\x1b" not in text


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_an_answer_in_parts_has_the_receipt_of_each(suffix):
    conversation = conversation_of("a", "b")
    (turn,) = conversation.turns
    split = replace(turn, done=replace(turn.done, parts=(turn.done, turn.done)))
    text = export(replace(conversation, turns=(split,)), suffix)
    assert "1. sql 1.00 · 2 ms route · 20 ms first token" in text
    assert "2. sql 1.00 · 20 ms first token" in text


@pytest.mark.parametrize("suffix", [".md", ".html", ".json"])
def test_receipts_are_in_every_format(suffix):
    text = export(conversation_of("a", "b"), suffix)
    assert "sql" in text
    assert "60" in text if suffix == ".json" else "20 ms first token" in text


@pytest.mark.parametrize("suffix", [".MD", ".Html", ".JSON", ".htm", ".markdown", ".HTM"])
def test_the_ending_of_a_file_is_known_in_any_spelling(suffix):
    right = {"m": ".md", "h": ".html", "j": ".json"}[suffix[1].lower()]
    assert export(conversation_of("a", "b"), suffix) == export(conversation_of("a", "b"), right)


def test_tables_have_lines_and_code_scrolls_sideways():
    page = to_html(conversation_of("a", "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nlong line\n```"))
    assert {"table", "th", "td", "pre"} <= Page(page).tags
    assert re.search(r"th, td \{ border: 1px", page)
    assert re.search(r"pre \{[^}]*overflow-x: auto", page)


def test_only_the_shown_path_is_read_but_everything_is_kept():
    turns = (
        StoredTurn(1, None, "first", "one", "done"),
        StoredTurn(2, 1, "old", "two", "done"),
        StoredTurn(3, 1, "new", "three", "done"),
    )
    conversation = Conversation(ConversationInfo(0, "t", False, 3, "", "", 3, ChatOptions()), turns)
    assert "old" not in to_markdown(conversation)
    assert "old" in to_json(conversation)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda given: given.pop("turns"), "it has no 'turns'"),
        (lambda given: given.update(format=2), "format 2"),
        (lambda given: given.update(tip=9), "the turn that it is to be shown up to is not there"),
        (lambda given: given["turns"][0].update(parent=7), "turn 1 stands before the one that it follows"),
        (lambda given: given["turns"][0].update(id="1"), "is no number of a turn"),
        (lambda given: given["turns"][0].update(state="?"), "turn 1 has the state"),
        (lambda given: given["turns"][0]["receipt"].pop("mix"), "the receipt of turn 1: it has no 'mix'"),
        (lambda given: given["options"].update(temperature=99), "temperature"),
        (lambda given: given.update(changed_at="yesterday"), "yesterday"),
        (lambda given: given.update(created_at=""), "'' is no time"),
        (lambda given: given["turns"][0].update(text="\ud800"), "half a character"),
        (lambda given: given["turns"][0]["receipt"]["mix"].update(shell=0.5), r"talk\.json: .*weights add up"),
    ],
)
def test_a_file_that_is_no_export_is_told(change, told):
    given = json.loads(to_json(conversation_of("a", "b")))
    change(given)
    with pytest.raises(InputError, match=told):
        conversations_from_json(json.dumps(given), "talk.json")


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_breaks_the_reader(text):
    with pytest.raises(InputError, match=r"talk\.json"):
        conversations_from_json(text, "talk.json")
