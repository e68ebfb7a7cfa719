"""Answers are computed once, kept as they come, and known by all that they depend on."""

import json
import shutil

import pytest

from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import ReplyDone, TokenScores
from dlp_local.core.job import Cancellation
from dlp_local.core.values import Message, Mix
from dlp_local.evaluation.answers import Answers, Question, whole_lines
from dlp_local.evaluation.metrics.choices import choice_grammar
from dlp_local.packs.manifest import read_manifest
from tests.support.fakes import Answer, FakeAssistant, Gate

SHELL, SQL = Mix.of({"shell": 1.0}), Mix.of({"sql": 1.0})
GREEDY = ChatOptions(temperature=0, repeat_penalty=1.0, max_tokens=24, seed=0)
CONTEXT = {"system": ""}


def question(text="list files", mix=SHELL, **more):
    return Question(text, mix, GREEDY, **more)


@pytest.fixture
def manifest(bundled):
    return read_manifest(bundled)


def opened(assistant, manifest, file, context=CONTEXT):
    return Answers(assistant, manifest, file, context)


def test_an_answer_is_asked_once_also_by_another_run(manifest, tmp_path):
    file, first, second = tmp_path / "new" / "answers.jsonl", FakeAssistant(), FakeAssistant()
    answers = opened(first, manifest, file)
    answer = ask(answers, question())
    assert (answer.text, answer.first_token, answer.finish_reason) == ("a fine answer", 0.18, "stop")
    assert ask(answers, question()) == answer
    assert len(first.calls) == 1
    again = opened(second, manifest, file)
    assert ask(again, question()) == answer
    assert not second.calls


def kept(file):
    """The answers of a file, without the lines that say what was begun."""
    lines = map(json.loads, file.read_text("utf-8").splitlines())
    return [line for line in lines if "begun" not in line]


def ask(answers, question, cancellation=None):
    """The answer to one question; raises why there is none."""
    (found,) = dict(answers.of_all({answers.key(question): question}, cancellation or Cancellation())).values() or [
        None
    ]
    if isinstance(found, Exception):
        raise found
    return found


OTHERS = {
    "message": question("list folders"),
    "mix": question(mix=SQL),
    "parts": question(mix=None, parts=(("list files", SHELL),)),
    "other parts": question(mix=None, parts=(("list files", SQL),)),
    "history": question(history=(Message("user", "hi"), Message("assistant", "hello"))),
    "choice": question(choice="ls"),
    "system prompt": Question("list files", SHELL, GREEDY.model_copy(update={"system": "Be brief."})),
    "seed": Question("list files", SHELL, GREEDY.model_copy(update={"seed": 1})),
    "length": Question("list files", SHELL, GREEDY.model_copy(update={"max_tokens": 25})),
}


def test_an_answer_depends_on_all_that_a_question_says(manifest):
    answers = opened(FakeAssistant(), manifest, None)
    assert len({answers.key(one) for one in (question(), *OTHERS.values())}) == 1 + len(OTHERS)


def test_an_answer_depends_on_the_weights_in_its_mix_and_on_no_others(pack_copy, manifest):
    before = {mix: opened(FakeAssistant(), manifest, None).key(question(mix=mix)) for mix in (SHELL, SQL)}
    file = pack_copy / "pack.toml"
    text = file.read_text("utf-8")
    for old, new in [
        (manifest.adapters["shell"].sha256, "0" * 64),
        ("[adapters.shell]", "[adapters.shell]\nscale = 0.5"),
        ("[adapters.shell]", '[adapters.shell]\nscope = "context"'),
    ]:
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")
        answers = opened(FakeAssistant(), read_manifest(pack_copy), None)
        assert answers.key(question(mix=SQL)) == before[SQL]
        assert answers.key(question(mix=SHELL)) != before[SHELL]
    file.write_text(text.replace(manifest.backbone.sha256, "0" * 64), "utf-8")
    assert opened(FakeAssistant(), read_manifest(pack_copy), None).key(question(mix=SQL)) != before[SQL]


def test_an_answer_depends_on_the_settings_under_its_options(manifest):
    one, other = (opened(FakeAssistant(), manifest, None, {"system": system}) for system in ("", "Be brief."))
    assert one.key(question()) != other.key(question())


def test_what_a_killed_run_left_of_a_line_is_computed_again(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    answers = opened(FakeAssistant(), manifest, file)
    for one in (question(), question(mix=SQL)):
        ask(answers, one)
    whole = file.read_text("utf-8")
    file.write_text(whole[:-9], "utf-8")
    fake = FakeAssistant()
    answers = opened(fake, manifest, file)
    for one in (question(), question(mix=SQL)):
        ask(answers, one)
    assert [call.mix for call in fake.calls] == [SQL]
    assert file.read_text("utf-8") == whole


def test_a_damaged_line_is_computed_again(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    ask(opened(FakeAssistant(), manifest, file), question())
    file.write_text("{}\n[1]\n\0\0\0\n" + file.read_text("utf-8"), "utf-8")
    fake = FakeAssistant()
    assert ask(opened(fake, manifest, file), question())
    assert not fake.calls
    line = json.loads(file.read_text("utf-8").splitlines()[-1])
    for wrong in ({"text": None}, {"seconds": "long"}, {"trimmed": [1]}):
        file.write_text(json.dumps(line | wrong) + "\n", "utf-8")
        fake = FakeAssistant()
        assert ask(opened(fake, manifest, file), question()).text == line["text"]
        assert len(fake.calls) == 1


def test_a_cancelled_answer_is_none_and_is_not_kept(manifest, tmp_path):
    file, cancellation = tmp_path / "answers.jsonl", Cancellation()
    fake = FakeAssistant(Answer(gate=Gate()))
    cancellation.request()
    assert ask(opened(fake, manifest, file), question(), cancellation) is None
    assert kept(file) == []


def test_an_engine_that_ended_is_told_and_not_kept(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    fake = FakeAssistant(Answer(error=EngineError("the engine ended.")))
    with pytest.raises(EngineError, match="the engine ended"):
        ask(opened(fake, manifest, file), question())
    assert kept(file) == []


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Name another folder"):
        whole_lines(tmp_path / "file" / "answers.jsonl")


def test_how_likely_a_choice_is_is_the_sum_of_its_tokens(assistant, manifest):
    """The answer that the model gives by itself is as likely as a choice as it is when it comes freely."""
    text = "to ISO: the 3rd of February 2021"
    dates = Mix.of({"dates": 1.0})
    free, told = 0.0, ""
    for event in assistant.reply(text, mix=dates, options=GREEDY, answer_format=AnswerFormat(logprobs=0)):
        free += event.chosen.logprob if isinstance(event, TokenScores) else 0.0
        told = event.answer if isinstance(event, ReplyDone) else told
    answers = opened(assistant, manifest, None)
    wanted, other = (ask(answers, Question(text, dates, GREEDY, choice=choice)) for choice in (told, "2021-03-02"))
    assert (wanted.text, other.text) == (told, "2021-03-02")
    assert wanted.log_likelihood == pytest.approx(free, abs=0.05)
    assert other.log_likelihood < wanted.log_likelihood - 1


def test_a_choice_that_does_not_fit_is_told(assistant, manifest):
    short = GREEDY.model_copy(update={"max_tokens": 2})
    choice = "a much longer choice than two tokens could ever be"
    with pytest.raises(InputError, match="does not fit into the longest answer"):
        ask(opened(assistant, manifest, None), Question("x", SHELL, short, choice=choice))
    assert choice in choice_grammar(choice)


def test_a_line_says_what_was_asked_and_answered(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    ask(opened(FakeAssistant(), manifest, file), question())
    (line,) = kept(file)
    assert (line["message"], line["mix"], line["text"]) == ("list files", "shell 1.00", "a fine answer")
    shutil.rmtree(tmp_path)


def test_what_other_questions_had_answered_is_not_asked_again_with_those_of_a_run_that_was_cut(manifest, tmp_path):
    def all_of(answers, count):
        asked = [question(f"list files {number}") for number in range(count)]
        return dict(answers.of_all({answers.key(one): one for one in asked}, Cancellation()))

    file, first, more = tmp_path / "answers.jsonl", FakeAssistant(), FakeAssistant()
    all_of(opened(first, manifest, file), 3)
    assert len(all_of(opened(more, manifest, file), 7)) == 7
    assert (len(first.calls), len(more.calls)) == (3, 4)
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-2]), "utf-8")
    again = FakeAssistant()
    assert len(all_of(opened(again, manifest, file), 7)) == 7
    assert sorted(call.text for call in again.calls) == [f"list files {number}" for number in range(3, 7)]
    assert len(kept(file)) == 7
    assert [line for line in map(json.loads, file.read_text("utf-8").splitlines()) if "begun" in line] == [
        json.loads(lines[0]), json.loads(lines[4]),
    ]  # fmt: skip
