"""Measuring a pack goes on where it was cut, and computes no answer twice."""

import json

from dlp_local.core.values import Mix
from dlp_local.packs import bundled_pack
from tests.support.fakes import FakeAssistant
from tools.measure_pack import Answers

SHELL = Mix.of({"shell": 1.0})


def test_answers_are_kept_and_those_of_a_cut_run_are_not_computed_again(tmp_path):
    file = tmp_path / "figures.answers.jsonl"
    first = FakeAssistant()
    answers = Answers(first, bundled_pack(), file)
    answer = answers.of("list files", SHELL)
    assert answers.of("list files", SHELL) == answer
    assert len(first.calls) == 1
    assert answers.of("list files", Mix()) is not None
    assert len(first.calls) == 2

    whole = file.read_text("utf-8")
    file.write_text(whole[:-5], "utf-8")  # the process was killed while it wrote its last line
    second = FakeAssistant()
    again = Answers(second, bundled_pack(), file)
    assert again.of("list files", SHELL) == answer
    assert len(second.calls) == 0
    again.of("list files", Mix())
    assert len(second.calls) == 1
    assert file.read_text("utf-8") == whole


def test_answers_of_other_adapters_do_not_count(tmp_path):
    file = tmp_path / "figures.answers.jsonl"
    line = {"pack": "another", "message": "list files", "mix": str(SHELL), "answer": "wrong"}
    file.write_text(json.dumps(line) + "\n", "utf-8")
    assistant = FakeAssistant()
    assert Answers(assistant, bundled_pack(), file).of("list files", SHELL) != "wrong"
    assert len(assistant.calls) == 1
