"""Where a message can be cut, and which of its pieces belong together."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import BASE
from dlp_local.routing.parts import MOST_PIECES, joined, owner, pieces, split

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
        ("How many?\ncolumns: a, b and play x", ["How many?", "columns: a, b", "play x"]),
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


@given(st.lists(PROBABILITIES, max_size=8))
def test_parts_are_all_pieces_in_order_each_with_one_owner_and_neighbors_with_different_ones(probabilities):
    parts = joined(probabilities, SURE)
    owners = [owner(p, SURE) for p in probabilities]
    if not parts:
        assert len(set(filter(None, owners))) < 2
        return
    assert [index for part in parts for index in part] == list(range(len(probabilities)))
    of_parts = [{owners[index] for index in part} - {""} for part in parts]
    assert all(len(names) == 1 for names in of_parts)
    assert all(left != right for left, right in pairwise(of_parts))


@given(PROBABILITIES, st.floats(0.5, 1))
def test_an_owner_is_an_adapter_that_is_as_sure_as_asked_for(probabilities, sure):
    name = owner(probabilities, sure)
    assert name != BASE
    assert (probabilities.get(name, 0) >= sure) == bool(name)


def test_what_is_nobodys_goes_where_it_is_likelier_and_else_with_what_is_before_it():
    shell, dates = {"shell": 0.95, "dates": 0.01}, {"dates": 0.95, "shell": 0.01}
    rather_dates, neither = {"dates": 0.6, "shell": 0.1, BASE: 0.3}, {BASE: 1.0}
    assert joined([shell, rather_dates, dates], SURE) == (range(0, 1), range(1, 3))
    assert joined([shell, neither, dates], SURE) == (range(0, 2), range(2, 3))
    assert joined([neither, shell, shell, dates, neither], SURE) == (range(0, 3), range(3, 5))
    assert joined([shell, neither, shell], SURE) == ()


class Classifier:
    """Says of each text what is told, and of others that they are nobody's; keeps what it was asked."""

    def __init__(self, **texts):
        self.texts, self.asked = {text.replace("_", " "): p for text, p in texts.items()}, []

    def __call__(self, texts):
        self.asked.append(list(texts))
        return [self.texts.get(text, {BASE: 1.0}) for text in texts]


SHELL, DATES = {"shell": 0.98, "dates": 0.02}, {"dates": 0.96, "shell": 0.04}


def test_each_part_has_its_text_and_its_probabilities():
    classify = Classifier(list_it=SHELL, when=DATES)
    assert split("list it and when", 0.9, SURE, classify) == [("list it", SHELL), ("when", DATES)]
    assert classify.asked == [["list it", "when"]]


def test_what_is_nobodys_goes_along_with_a_part_and_takes_nothing_from_it():
    classify = Classifier(when=DATES, **{"list it.": SHELL})
    assert split("hello! list it. when", 0.9, SURE, classify) == [("hello! list it.", SHELL), ("when", DATES)]
    assert classify.asked == [["hello!", "list it.", "when"]]


@pytest.mark.parametrize(
    ("text", "whole", "sure"),
    [
        ("list it and when", 0.96, SURE),
        ("list it and when", 0.97, SURE),
        ("list it and when", 0.5, 0.97),
        ("list it and hello", 0.5, SURE),
        ("list it", 0.5, SURE),
    ],
)
def test_a_message_stays_whole_where_the_router_is_as_sure_of_it_or_not_of_each_part(text, whole, sure):
    assert split(text, whole, sure, Classifier(list_it=SHELL, when=DATES)) == []


def test_a_message_of_one_piece_costs_nothing():
    classify = Classifier()
    assert split("to ISO: 4 July 1999", 0.5, SURE, classify) == []
    assert classify.asked == []
