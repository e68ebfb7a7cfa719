"""What the doctor makes of a model's answers."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.settings import Settings
from dlp_local.doctor.checks.answers import check_answers, says_one_thing
from tests.support.fakes import Answer, FakeAssistant


class Reasoning(FakeAssistant):
    """Does not come to its answer."""

    def reply(self, *arguments, **options):
        *events, done = super().reply(*arguments, **options)
        return [*events, replace(done, answer="", reasoning=done.answer)]


def answers(monkeypatch, *said, finish_reason="stop", kind=FakeAssistant):
    """The checks of a pack whose answers these are."""
    fake = kind(*(Answer(pieces=[text], finish_reason=finish_reason) for text in said))
    monkeypatch.setattr("dlp_local.doctor.checks.answers.open_assistant", lambda *_: contextlib.nullcontext(fake))
    return {check.name: check for check in check_answers(Path(), Settings())}


def test_two_different_answers_are_well(monkeypatch):
    checks = answers(monkeypatch, "I can help.", "1 2 3 4", finish_reason="length")
    assert checks["answers compared"].is_well
    assert "'Count from one to ten, please.'" in checks["answers compared"].detail


def test_short_answers_that_end_by_themselves_may_be_alike_and_are_told_to_be(monkeypatch):
    check = answers(monkeypatch, "Hi!", "Hi!", finish_reason="stop")["answers compared"]
    assert check.is_well
    assert check.detail.endswith("gave 'Hi!', as to the first")


def test_a_model_that_is_still_reasoning_is_judged_by_that(monkeypatch):
    checks = answers(monkeypatch, "They want help.", "They want numbers.", finish_reason="length", kind=Reasoning)
    assert checks["answers compared"].is_well
    checks = answers(monkeypatch, "#" * 32, "They want numbers.", finish_reason="length", kind=Reasoning)
    assert not checks["answers compared"].is_well


class Reasoned(FakeAssistant):
    """Comes to its answer after some reasoning."""

    def reply(self, *arguments, **options):
        *events, done = super().reply(*arguments, **options)
        return [*events, replace(done, reasoning="They want help.")]


def test_reasoning_and_answer_are_told_apart(monkeypatch):
    checks = answers(monkeypatch, "I can help.", "1 2 3 4", kind=Reasoned)
    assert "gave 'I can help.'" in checks["answer"].detail
    assert "They want" not in checks["answers compared"].detail
    checks = answers(monkeypatch, "They want help.", "They want numbers.", finish_reason="length", kind=Reasoning)
    assert "was still reasoning: 'They want help.'" in checks["answer"].detail


@pytest.mark.parametrize(
    ("said", "finish_reason", "told"),
    [
        (["", "1 2 3"], "stop", "is empty"),
        (["fine", " \n"], "stop", "is empty"),
        (["#" * 32, "1 2 3"], "length", "says one thing for ever"),
        (["1 2 3", "well then, the the the the the the the the the the the"], "length", "says one thing for ever"),
        (["the same", "the same"], "length", "both gave 'the same'"),
    ],
)
def test_answers_of_damaged_weights_are_a_finding(monkeypatch, said, finish_reason, told):
    check = answers(monkeypatch, *said, finish_reason=finish_reason)["answers compared"]
    assert not check.is_well
    assert told in check.detail
    assert "weights of the backbone may be damaged" in check.next_step


@given(st.text(min_size=1, max_size=6).filter(str.strip), st.integers(8, 40), st.text(max_size=4))
def test_a_repeated_piece_is_one_thing_whatever_stands_before_it(piece, times, before):
    assert says_one_thing(before[: len(piece) * times // 4] + piece * times)


@given(st.permutations("abcdefghijklmnopqrstuvwxyz"))
def test_a_text_that_never_repeats_is_not(letters):
    assert not says_one_thing("".join(letters))
