"""Where a message can be cut, and which of its pieces belong together."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import BASE
from dlp_local.routing.parts import MOST_PIECES, UNSURE_OF_WHOLE, is_request, joined, owner, pieces, split

SURE = 0.9
NAMES = ("shell", "sql", "dates", BASE)
PROBABILITIES = st.one_of(
    st.sampled_from(NAMES).map(lambda name: {other: 0.97 if other == name else 0.01 for other in NAMES}),
    st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(1, 9))).map(
        lambda counts: {name: count / sum(counts.values()) for name, count in counts.items()}
    ),
)
WORDS = st.sampled_from(["play", "jazz", "and", "then", "also", "tar:", "x.tar", "Dr.", "8pm", "(a)", "é", "I", "“no”"])
JOINTS = st.sampled_from([" ", "\n", "\n\n", ". ", "! ", "? ", "; ", ", ", " and ", ", and then ", "\r\n", "\t"])
TEXTS = st.lists(st.tuples(WORDS, JOINTS), max_size=24).map(lambda pairs: "".join(map("".join, pairs)))


def cut(text):
    return [text[piece] for piece in pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tar: list notes.tar\nplay some jazz", ["tar: list notes.tar", "play some jazz"]),
        ("Find all files. And then play jazz, please.", ["Find all files.", "play jazz, please."]),
        ("play jazz, then rate this book 4; thanks!", ["play jazz", "rate this book 4", "thanks!"]),
        ("play jazz and also tar: list notes.tar", ["play jazz", "tar: list notes.tar"]),
        ("How many?\ncolumns: a, b and play x", ["How many?\ncolumns: a, b", "play x"]),
        ("play jazz. How many?\n\n columns: a, b_c, d", ["play jazz.", "How many?\n\n columns: a, b_c, d"]),
        ("How many?\ntar: list a, b", ["How many?", "tar: list a, b"]),
        ("  \n one\n\n\n  two \n", ["one", "two"]),
        ("he said \"stop.\" Then he went.", ['he said "stop."', "he went."]),
        ("see Dr. Who by J. Smith", []),
        ("extract archive.tar.gz into /tmp", []),
        ("sandy andes", []),
        ("and", []),
        ("play jazz and ", []),
        ("", []),
        ("fix this:\n```\na. b\n```", []),
    ],
)  # fmt: skip
def test_a_message_is_cut_at_lines_sentences_and_joining_words(text, expected):
    assert cut(text) == expected


def test_a_text_of_many_lines_is_not_several_requests():
    assert len(cut("\n".join("abcdefghijklmnop"[:MOST_PIECES]))) == MOST_PIECES
    assert cut("\n".join("abcdefghijklmnop"[: MOST_PIECES + 1])) == []


@given(TEXTS)
def test_pieces_stand_in_order_and_only_joints_are_between_them(text):
    found = pieces(text)
    assert len(found) != 1
    if not found:
        return
    ends = [0, *(piece.stop for piece in found)]
    starts = [*(piece.start for piece in found), len(text)]
    assert all(text[piece] and text[piece] == text[piece].strip() for piece in found)
    for end, start in zip(ends, starts, strict=True):
        assert re.fullmatch(r"(?:\s|[;,]|and|then|also)*", text[end:start], re.IGNORECASE)


TASKS = st.sampled_from(["tar: list notes.tar", "when is it", "hello", "write a poem about snow", "explain this: x"])


@given(st.lists(st.tuples(TASKS, PROBABILITIES), max_size=8), st.booleans())
def test_parts_are_all_pieces_in_order_each_with_one_owner_and_neighbors_with_different_ones(pieces, base):
    owners = [owner(text, p, SURE, base) for text, p in pieces]
    parts = joined([p for _, p in pieces], owners)
    if not parts:
        assert len(set(filter(None, owners))) < 2
        return
    assert [index for part in parts for index in part] == list(range(len(pieces)))
    of_parts = [{owners[index] for index in part} - {""} for part in parts]
    assert all(len(names) == 1 for names in of_parts)
    assert all(left != right for left, right in pairwise(of_parts))


@given(TASKS, PROBABILITIES, st.floats(0.5, 1), st.booleans())
def test_an_owner_is_as_sure_as_asked_for_and_base_has_none_but_requests(text, probabilities, sure, base):
    name = owner(text, probabilities, sure, base)
    best = max(probabilities, key=probabilities.__getitem__)
    wanted = best != BASE or (base and text == "write a poem about snow")
    assert name == (best if wanted and probabilities[best] >= sure else "")


@pytest.mark.parametrize(
    "text",
    ["write me a poem about snow", "Please explain what a mutex is", "how do I boil an egg?", "What's a lookahead?"],
)
def test_what_asks_for_something_and_needs_nothing_else_is_a_request(text):
    assert is_request(text)


@pytest.mark.parametrize(
    "text",
    [
        "hello!", "thanks a lot for your help", "I am new here", "what should I do?", "explain it to me",
        "summarize the text above", "translate into French: good morning", "why not?", "whatever you say to her",
    ],
)  # fmt: skip
def test_a_greeting_a_remark_and_what_leans_on_other_words_is_no_request(text):
    assert not is_request(text)


def test_what_is_nobodys_goes_where_it_is_likelier_and_else_with_what_is_before_it():
    shell, dates = {"shell": 0.95, "dates": 0.01}, {"dates": 0.95, "shell": 0.01}
    rather_dates, neither = {"dates": 0.6, "shell": 0.1, BASE: 0.3}, {BASE: 1.0}
    owned = {0: "shell", 1: "dates", 2: ""}

    def parts(*pieces):
        known = (shell, dates, neither)
        return joined(pieces, [owned[known.index(p)] if p in known else "" for p in pieces])

    assert parts(shell, rather_dates, dates) == (range(0, 1), range(1, 3))
    assert parts(shell, neither, dates) == (range(0, 2), range(2, 3))
    assert parts(neither, shell, shell, dates, neither) == (range(0, 3), range(3, 5))
    assert parts(shell, neither, shell) == ()


SHELL, DATES = {"shell": 0.98, "dates": 0.02}, {"dates": 0.96, "shell": 0.04}


POEM, BASES = "write a poem about snow", {BASE: 0.99, "shell": 0.01}
KNOWN = {"list it": SHELL, "list it.": SHELL, "when": DATES, POEM: BASES}


def split_into(text, whole=0.9, sure=SURE):
    """The parts of a text whose pieces the router knows, or else takes for base's."""
    where = pieces(text)
    return split(text, where, [KNOWN.get(text[piece], {BASE: 1.0}) for piece in where], whole, sure)


def test_each_part_has_its_text_and_its_probabilities():
    assert split_into("list it and when") == [("list it", SHELL), ("when", DATES)]


def test_what_is_nobodys_goes_along_with_a_part_and_takes_nothing_from_it():
    assert split_into("hello! list it. when") == [("hello! list it.", SHELL), ("when", DATES)]


def test_a_request_to_base_is_a_part_of_its_own():
    assert split_into(f"list it. Then {POEM}", 0.6) == [("list it.", SHELL), (POEM, BASES)]
    assert split_into(f"{POEM} and list it", 0.6) == [(POEM, BASES), ("list it", SHELL)]


def test_base_has_no_part_of_a_message_that_an_adapter_is_rather_sure_of():
    assert split_into(f"list it. Then {POEM}", UNSURE_OF_WHOLE) == []
    assert split_into(f"{POEM} and list it. when", UNSURE_OF_WHOLE) == [
        (f"{POEM} and list it.", SHELL),
        ("when", DATES),
    ]


@pytest.mark.parametrize(
    ("text", "whole", "sure"),
    [
        ("list it and when", 0.96, SURE),
        ("list it and when", 0.97, SURE),
        ("list it and when", 0.5, 0.97),
        ("list it and hello", 0.5, SURE),
        ("list it", 0.5, SURE),
        ("list it and thank you for that", 0.5, SURE),
    ],
)
def test_a_message_stays_whole_where_the_router_is_as_sure_of_it_or_not_of_each_part(text, whole, sure):
    assert split_into(text, whole, sure) == []
