"""JSON that cannot be read is told in plain words, with the place."""

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.json_text import is_same_json, json_value, parse_json


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


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("text", ["%s", '{"a": [1, {"b": %s}]}'])
def test_a_number_that_is_not_finite_is_refused_by_name(text, number):
    with pytest.raises(InputError) as error:
        parse_json(text % number, "x", "Mend it.")
    told = f"it holds {number}, which is no finite number; write one, or null"
    assert str(error.value) == f"x: is not JSON ({told}). Mend it."
    assert json_value(text % number) is None
    assert not is_same_json(text % number, text % number)


def test_a_long_number_is_not_told_in_full():
    with pytest.raises(InputError) as error:
        parse_json("9" * 4000 + ".0", "x", "Mend it.")
    assert len(str(error.value)) < 200


def test_finite_numbers_are_read_as_they_are():
    assert parse_json("[1.5, -2e3, 1e-999, 1e308, 0.0]", "x", "Mend it.") == [1.5, -2000.0, 0.0, 1e308, 0.0]


def test_a_file_of_another_program_may_hold_them_where_they_are_passed_over():
    assert parse_json('{"score": Infinity, "text": "a"}', "x", "Mend it.", only_finite=False)["text"] == "a"


@pytest.mark.parametrize("only_finite", [True, False])
def test_a_key_that_is_there_twice_is_refused_where_each_counts(only_finite):
    text = '[{"a": {"b": 1, "c": 2, "b": 3}}]'
    assert parse_json(text, "x", "Mend it.", only_finite=only_finite) == [{"a": {"b": 3, "c": 2}}]
    with pytest.raises(InputError) as error:
        parse_json(text, "x", "Mend it.", only_finite=only_finite, unique_keys=True)
    assert str(error.value) == "x: 'b' is there twice in one object. Leave one out."
