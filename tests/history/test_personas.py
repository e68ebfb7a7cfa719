"""Personas: options under a name that can be typed again."""

import unicodedata

import pytest

from dlp_local.core.errors import InputError
from dlp_local.history.personas import LONGEST_NAME, known_persona, persona_name


def test_a_name_is_the_same_however_its_accents_and_spaces_were_typed():
    composed, apart = "café crème", "  cafe\u0301  cre\u0300me "
    assert unicodedata.normalize("NFC", composed) == composed
    assert persona_name(apart) == composed == persona_name(composed)
    assert known_persona(apart, {composed}) == composed


def test_a_name_that_was_kept_before_is_found_as_it_was_written():
    apart = "cafe\u0301"
    assert known_persona(apart, {apart}) == apart
    assert known_persona("terse", {apart}) == "terse"


@pytest.mark.parametrize("name", ["", " \n", "a\x1b[31mb", "x" * (LONGEST_NAME + 1)])
def test_a_name_that_nobody_can_type_again_is_refused(name):
    with pytest.raises(InputError, match="name"):
        persona_name(name)


def test_a_name_of_two_lines_is_one_of_one_line():
    assert persona_name("be\nbrief") == "be brief"
