"""Many questions at once, asked again: the same answers, whatever the threads do meanwhile."""

import json
import random
import time
from itertools import chain

import pytest

from dlp_local import open_assistant
from dlp_local.asked_together import GROUP, ask_together, groups
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.job import Cancellation
from dlp_local.core.settings import Settings
from dlp_local.core.values import Mix
from dlp_local.evaluation.answers import Answers, Question
from dlp_local.packs.manifest import read_manifest
from tests.support.fakes import FakeAssistant
from tests.support.prompts import PROMPTS

GREEDY = ChatOptions(temperature=0, repeat_penalty=1.0, max_tokens=12, seed=0)


class Uneven:
    """An assistant that takes its time now and then before it asks the engine, another one each time."""

    def __init__(self, assistant):
        self._assistant, self._random, self.asked = assistant, random.Random(), 0

    def __getattr__(self, name):
        return getattr(self._assistant, name)

    def reply(self, *args, **more):
        self.asked += 1
        time.sleep(0.02 * self._random.choice([0, 0, 1]))
        return self._assistant.reply(*args, **more)


@pytest.fixture(scope="module")
def for_comparison(bundled):
    with open_assistant(Settings().for_comparison(), bundled) as opened:
        yield opened


def questions(count):
    """Free answers under several mixes, of one part and of two, and answers of which the likelihood counts."""
    texts = list(chain.from_iterable(zip(*PROMPTS.values(), strict=False)))[:count]
    two = "to ISO: 3 July 1999\ntar: list the contents of notes.tar"
    for number, text in enumerate(texts):
        mix = (Mix(), Mix.of({"sql": 1.0}), Mix.of({"dates": 0.75, "shell": 0.25}))[number % 3]
        yield Question(text, mix, GREEDY, choice="1999-07-03" if number % 2 else None)
    parts = ((two.split("\n")[0], Mix.of({"dates": 1.0})), (two.split("\n")[1], Mix.of({"shell": 1.0})))
    yield Question(two, None, GREEDY, parts=parts)


def answered(assistant, bundled, count=24, file=None):
    answers = Answers(assistant, read_manifest(bundled), file, {})
    asked = {answers.key(one): one for one in questions(count)}
    given = dict(answers.of_all(asked, Cancellation()))
    assert given.keys() == asked.keys()
    return {key: (answer.text, answer.log_likelihood) for key, answer in given.items()}


def test_the_same_questions_have_the_same_answers_and_likelihoods_to_the_last_digit(for_comparison, bundled):
    first = answered(for_comparison, bundled)
    assert len({text for text, _ in first.values()}) > 3
    assert len({likelihood for _, likelihood in first.values()}) > 3
    for _ in range(2):
        assert answered(Uneven(for_comparison), bundled) == first


def test_what_was_cut_has_the_answers_of_a_whole_run_afterwards(for_comparison, bundled, tmp_path):
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    first = answered(for_comparison, bundled, file=whole)
    begun, *lines = whole.read_text("utf-8").splitlines()
    kept = [begun, *random.Random(0).sample(lines, 9)]
    cut.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    assert answered(Uneven(for_comparison), bundled, file=cut) == first
    lines = cut.read_text("utf-8").splitlines()
    assert lines[:10] == kept
    keys = [json.loads(line)["key"] for line in lines[1:]]
    assert sorted(keys) == sorted(first)
    again = Uneven(for_comparison)
    assert answered(again, bundled, file=cut) == first
    assert not again.asked


def test_groups_have_all_questions_in_their_order():
    asked = list(range(2 * GROUP + 3))
    grouped = list(groups(FakeAssistant(), asked))
    assert [len(group) for group in grouped] == [GROUP, GROUP, 3]
    assert list(chain.from_iterable(grouped)) == asked
    busy = FakeAssistant()
    busy.concurrent_replies = GROUP
    assert len(next(groups(busy, [0] * 1000))) > GROUP


def test_what_one_question_raises_is_its_own():
    def ask(number):
        if number == 3:
            raise ValueError("not this one")
        return 2 * number

    ended = dict(ask_together(FakeAssistant(), range(6), ask))
    with pytest.raises(ValueError, match="not this one"):
        ended.pop(3).result()
    assert {number: future.result() for number, future in ended.items()} == {0: 0, 1: 2, 2: 4, 4: 8, 5: 10}
