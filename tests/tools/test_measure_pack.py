"""Measuring a pack goes on where it was cut, and computes no answer twice."""

import shutil

import pytest

from dlp_local import open_assistant
from dlp_local.core.settings import Settings
from dlp_local.core.values import Mix
from dlp_local.packs import bundled_pack
from dlp_local.packs.manifest import read_manifest
from tests.support.fakes import FakeAssistant
from tools.data import Row
from tools.measure_pack import Answers, sample


@pytest.fixture(scope="module")
def assistant_for_many():
    with open_assistant(Settings().for_many(), bundled_pack()) as opened:
        yield opened


SHELL, SQL = Mix.of({"shell": 1.0}), Mix.of({"sql": 1.0})


def test_answers_are_kept_and_those_of_a_cut_run_are_not_computed_again(tmp_path):
    file = tmp_path / "figures.answers.jsonl"
    first = FakeAssistant()
    answers = Answers(first, bundled_pack(), file)
    answer = answers.of_all(["list files"], SHELL)
    assert answers.of_all(["list files"], SHELL) == answer
    assert len(first.calls) == 1
    assert answers.of_all(["list files"], Mix())
    assert len(first.calls) == 2

    whole = file.read_text("utf-8")
    file.write_text(whole[:-5], "utf-8")  # the process was killed while it wrote its last line
    second = FakeAssistant()
    again = Answers(second, bundled_pack(), file)
    assert again.of_all(["list files"], SHELL) == answer
    assert len(second.calls) == 0
    again.of_all(["list files"], Mix())
    assert len(second.calls) == 1
    assert file.read_text("utf-8") == whole


def test_many_rows_are_answered_at_once_in_order_and_each_is_kept_once(tmp_path, assistant_for_many):
    file = tmp_path / "figures.answers.jsonl"
    answers = Answers(assistant_for_many, bundled_pack(), file)
    messages = [f"to ISO: {day} July 1999" for day in range(1, 10)]
    dates = Mix.of({"dates": 1.0})
    assert answers.of_all(messages, dates) == [f"1999-07-{day:02}" for day in range(1, 10)]
    assert file.read_text("utf-8").count('"key"') == len(messages)
    assert Answers(FakeAssistant(), bundled_pack(), file).of_all(messages, dates) == answers.of_all(messages, dates)


def test_only_answers_of_the_same_weights_count(tmp_path, bundled):
    file = tmp_path / "figures.answers.jsonl"
    pack = tmp_path / "pack"
    shutil.copytree(bundled, pack)
    assistant = FakeAssistant()
    for mix in (SHELL, SQL):
        Answers(assistant, pack, file).of_all(["list files"], mix)
    manifest = pack / "pack.toml"
    shell = read_manifest(pack).adapters["shell"].sha256
    manifest.write_text(manifest.read_text("utf-8").replace(shell, "0" * 64), "utf-8")  # trained again
    answers = Answers(assistant, pack, file)
    answers.of_all(["list files"], SQL)
    assert len(assistant.calls) == 2
    answers.of_all(["list files"], SHELL)
    assert len(assistant.calls) == 3


def test_a_longer_run_measures_the_rows_of_a_shorter_one_and_more():
    rows = [Row(f"message {number % 700}", f"answer {number}") for number in range(1000)]
    few, many = sample(rows, 20), sample(rows, 300)
    assert list(many)[:20] == list(few)
    assert sorted(map(len, sample(rows, 1000).values())) == [1] * 400 + [2] * 300
