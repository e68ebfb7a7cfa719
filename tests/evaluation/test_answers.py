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
    answer = answers.of(question(), Cancellation())
    assert (answer.text, answer.first_token, answer.finish_reason) == ("a fine answer", 0.18, "stop")
    assert answers.of(question(), Cancellation()) == answer
    assert len(first.calls) == 1
    again = opened(second, manifest, file)
    assert again.of(question(), Cancellation()) == answer
    assert not second.calls


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
        answers.of(one, Cancellation())
    whole = file.read_text("utf-8")
    file.write_text(whole[:-9], "utf-8")
    fake = FakeAssistant()
    answers = opened(fake, manifest, file)
    for one in (question(), question(mix=SQL)):
        answers.of(one, Cancellation())
    assert [call.mix for call in fake.calls] == [SQL]
    assert file.read_text("utf-8") == whole


def test_a_damaged_line_is_computed_again(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    opened(FakeAssistant(), manifest, file).of(question(), Cancellation())
    file.write_text("{}\n[1]\n\0\0\0\n" + file.read_text("utf-8"), "utf-8")
    fake = FakeAssistant()
    assert opened(fake, manifest, file).of(question(), Cancellation())
    assert not fake.calls


def test_a_cancelled_answer_is_none_and_is_not_kept(manifest, tmp_path):
    file, cancellation = tmp_path / "answers.jsonl", Cancellation()
    fake = FakeAssistant(Answer(gate=Gate()))
    cancellation.request()
    assert opened(fake, manifest, file).of(question(), cancellation) is None
    assert not file.exists()


def test_an_engine_that_ended_is_told_and_not_kept(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    fake = FakeAssistant(Answer(error=EngineError("the engine ended.")))
    with pytest.raises(EngineError, match="the engine ended"):
        opened(fake, manifest, file).of(question(), Cancellation())
    assert not file.exists()


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
    wanted, other = (
        answers.of(Question(text, dates, GREEDY, choice=choice), Cancellation()) for choice in (told, "2021-03-02")
    )
    assert (wanted.text, other.text) == (told, "2021-03-02")
    assert wanted.log_likelihood == pytest.approx(free, abs=0.05)
    assert other.log_likelihood < wanted.log_likelihood - 1


def test_a_choice_that_does_not_fit_is_told(assistant, manifest):
    short = GREEDY.model_copy(update={"max_tokens": 2})
    choice = "a much longer choice than two tokens could ever be"
    with pytest.raises(InputError, match="does not fit into the longest answer"):
        opened(assistant, manifest, None).of(Question("x", SHELL, short, choice=choice), Cancellation())
    assert choice in choice_grammar(choice)


def test_a_line_says_what_was_asked_and_answered(manifest, tmp_path):
    file = tmp_path / "answers.jsonl"
    opened(FakeAssistant(), manifest, file).of(question(), Cancellation())
    line = json.loads(file.read_text("utf-8"))
    assert (line["message"], line["mix"], line["text"]) == ("list files", "shell 1.00", "a fine answer")
    shutil.rmtree(tmp_path)
