"""Which parts of a long message may be its request, and when one of them decides where the message goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.values import BASE
from dlp_local.routing.ends import LONG, LONGEST_END, SURE, decisive, ends

PROSE = "It was agreed that the garden be left as it is until the summer. " * 4
UNSURE = {"shell": 0.3, "sql": 0.3, BASE: 0.4}


def surely(name, p=0.98):
    return {other: p if other == name else (1 - p) / 2 for other in UNSURE}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"list all files\n\n{PROSE}", ["list all files"]),
        (f"{PROSE}\nlist all files\n", ["list all files"]),
        (f"list all files\r\n\r\n{PROSE}\n \nplease\nhurry", ["list all files", "please\nhurry"]),
        (f"Dear Ann,\n\n{PROSE}\n\nWith love,\nBert", []),
        ("\n".join(["a = 1"] * 60), ["a = 1", "a = 1"]),
        (f"{PROSE}\n\n{PROSE}", []),
        (PROSE, []),
        ("list all files\n\nand hurry", []),
        ("", []),
    ],
)
def test_the_outer_paragraphs_or_lines_of_a_long_message_may_be_its_request(text, expected):
    assert [*ends(text)] == expected


@given(st.lists(st.sampled_from([PROSE, "a", "b,", "c d", "\n", "\n\n", " \n \t\n", " "]), max_size=12).map("".join))
def test_ends_stand_in_the_message_and_are_short(text):
    for end in ends(text):
        assert end in text
        assert 0 < len(end) <= LONGEST_END
        assert len(text) > LONG


@pytest.mark.parametrize(
    ("whole", "of_ends", "chosen"),
    [
        (UNSURE, [surely(BASE), surely("sql")], surely("sql")),
        (surely("shell", 0.95), [surely("sql"), surely(BASE)], surely("sql")),
        (surely(BASE), [surely("shell", 0.95), surely("sql")], surely("sql")),
        (surely("shell", 0.99), [surely("sql")], surely("shell", 0.99)),
        (UNSURE, [surely("sql", SURE - 0.01)], UNSURE),
        (surely("shell", 0.5), [surely(BASE), surely(BASE)], surely("shell", 0.5)),
        (UNSURE, [], UNSURE),
    ],
)
def test_the_surest_end_decides_where_it_is_surer_than_the_whole(whole, of_ends, chosen):
    assert decisive(whole, of_ends) == chosen
