"""What fields of models say of themselves, and what is said of values that they refuse."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlp_local.core.fields import expected, explain, help_text, limits, problems
from dlp_local.core.text import did_you_mean


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    share: float = Field(0.5, gt=0, le=1, description="how much")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Inner()
    count: int | None = Field(None, ge=1)
    level: int = Field(0, ge=-1, le=9)
    how: Literal["soft", "hard"] = "soft"
    words: tuple[str, ...] = ()
    lines: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    ranks: dict[Annotated[str, Field(min_length=1)], Annotated[int, Field(ge=1, le=8, strict=True)]] | None = None
    parts: dict[str, Inner] = {}
    either: bool | str | None = None
    large: float = Field(0, ge=-1e6, le=1e6)
    needed: str


@pytest.mark.parametrize(
    ("name", "range_", "wanted"),
    [
        ("count", "1 or more", "a whole number, 1 or more"),
        ("level", "-1 to 9", "a whole number, -1 to 9"),
        ("how", "", "'soft' or 'hard'"),
        ("words", "", "a list of text"),
        ("needed", "", "text"),
    ],
)
def test_a_field_says_what_may_be_given(name, range_, wanted):
    field = Outer.model_fields[name]
    assert limits(field) == range_
    assert expected(field) == wanted


def test_help_is_a_sentence_with_the_range():
    assert help_text(Inner.model_fields["share"]) == "How much (over 0, up to 1)."


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"inner": {"share": 2}}, "inner.share: 2 cannot be used (give a number, over 0, up to 1)"),
        ({"inner": {"shar": 1}}, "inner.shar: there is nothing of that name. Did you mean 'share'?"),
        ({"inner": 3}, "inner: 3 cannot be used (give a table of values)"),
        ({"how": "loud"}, "how: 'loud' cannot be used (give 'soft' or 'hard')"),
        ({"words": ["a", 7]}, "words: 7 cannot be used (give text)"),
        ({"words": 7}, "words: 7 cannot be used (give a list of text)"),
        ({"lines": [""]}, "lines: '' cannot be used (give text that is not empty)"),
        ({"ranks": {"q_proj": 0}}, "ranks.q_proj: 0 cannot be used (give a whole number, 1 to 8)"),
        ({"ranks": {"q": -1.5, "v": "x"}}, "ranks.q: -1.5 cannot be used (give a whole number, 1 to 8)"),
        ({"ranks": {"": 1}}, "ranks.: '' cannot be used (give text that is not empty)"),
        ({"ranks": [1]}, "ranks: [1] cannot be used (give a table of values)"),
        ({"parts": {"a": {"share": "x"}}}, "parts.a.share: 'x' cannot be used (give a number, over 0, up to 1)"),
        ({"parts": {"a": {"shar": 1}}}, "parts.a.shar: there is nothing of that name. Did you mean 'share'?"),
        ({"either": [1]}, "either: [1] cannot be used (give true or false or text)"),
        ({"level": "nan"}, "level: 'nan' cannot be used (give a whole number, -1 to 9)"),
        ({"large": 1e300}, "large: 1e+300 cannot be used (give a number, -1000000 to 1000000)"),
        ({"how": True}, "how: true cannot be used (give 'soft' or 'hard')"),
        ({"words": None}, "words: null cannot be used (give a list of text)"),
        ({"zzz": 1}, "zzz: there is nothing of that name"),
    ],
)
def test_a_refused_value_is_named_with_what_may_be_given_instead(values, sentence):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"needed": "x"} | values)
    explained = explain(caught.value, Outer)
    assert problems(caught.value, Outer).startswith(sentence)
    assert len({problem.path for problem in explained}) == len(explained)


def test_a_missing_value_is_named():
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({})
    assert problems(caught.value, Outer) == "needed: is missing (give text)"


def test_near_names_are_offered_whatever_their_case():
    assert did_you_mean("Bankign", ["sql", "banking"]) == " Did you mean 'banking'?"
    assert did_you_mean("xyz", ["sql", "shell"]) == ""


def test_names_of_which_one_is_the_beginning_of_the_other_come_first():
    assert did_you_mean("/temperature", ["/temp", "/theme"]) == " Did you mean '/temp'?"
    assert did_you_mean("opt", ["top", "options"]).startswith(" Did you mean 'options'")
