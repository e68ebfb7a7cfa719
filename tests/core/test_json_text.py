"""JSON that cannot be read is told in plain words, with the place."""

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.json_text import parse_json


def test_what_a_text_says_is_given():
    assert parse_json('{"a": [1, "é"]}', "x", "Mend it.") == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "x: is not JSON (it is empty). Mend it."),
        (" \n", "x: is not JSON (it is empty). Mend it."),
        ("no json", "x: is not JSON (from column 1 on). Mend it."),
        ('{"a": 1,\n "b": }', "x: is not JSON (from line 2, column 7 on). Mend it."),
        ("[" * 100_000, "x: is not JSON (it is nested too deeply). Mend it."),
        ("1" * 5000, "x: is not JSON (a number in it is too long). Mend it."),
    ],
)
def test_where_it_is_none_the_place_is_told_in_plain_words(text, told):
    with pytest.raises(InputError) as error:
        parse_json(text, "x", "Mend it.")
    assert str(error.value) == told


def test_the_kind_of_error_is_the_callers():
    with pytest.raises(PackError):
        parse_json("{", "x", "Mend it.", PackError)
