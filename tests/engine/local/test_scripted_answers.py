"""Real GGUF files that say what a script says: prompts, ends and structure of answers, known to the letter."""

import pytest

from dlp_local.core.events import AnswerWasReasoning, Generated, ReasoningDelta, TextDelta
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.engine import LocalEngine
from tests.support.scripted_models import bytes_of, write_scripted_model

GREETING = ["[assistant]", "Hi", "!"]
KNOWS_NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'user' %}[user]{{ m.content }}[assistant]"
    "{% elif m.role == 'assistant' %}{{ m.content }}[end]{% endif %}{% endfor %}"
)


@pytest.fixture
def answer(tmp_path):
    """Answers a conversation with a scripted model: its text, its reasoning, and what the engine says at the end."""
    opened = []

    def answer(script, *messages, sampling=None, **model):
        path = write_scripted_model(tmp_path / f"{len(opened)}.gguf", script, **model)
        opened.append(LocalEngine(path, [], Options(check_memory=False, context=model.get("context", 512))))
        conversation = messages or (Message("user", "hi"),)
        *events, done = opened[-1].generate(conversation, Mix(), sampling or Sampling(temperature=0, max_tokens=40))
        assert isinstance(done, Generated)
        text = reasoning = ""
        for event in events:
            match event:
                case TextDelta(piece):
                    text += piece
                case ReasoningDelta(piece):
                    reasoning += piece
                case AnswerWasReasoning():
                    text, reasoning = "", reasoning + text
        return text, reasoning, done

    yield answer
    for engine in opened:
        engine.close()


def test_a_text_may_have_more_tokens_than_bytes(answer):
    text, _, done = answer(GREETING, Message("user", f"a{' ' * 100}b"), has_space=False)
    assert text == "Hi!"
    assert done.prompt_tokens > 300


def test_an_answer_never_ends_inside_a_character(answer):
    script = ["[assistant]", "Hi", *bytes_of("😀"), "!"]
    assert answer(script)[0] == "Hi😀!"
    for most in (2, 3, 4):
        assert answer(script, sampling=Sampling(temperature=0, max_tokens=most))[0] == "Hi"


def test_a_system_prompt_that_the_template_passes_over_reaches_the_model(answer):
    names = ("[user]", "[assistant]", "[end]")
    system = Message("system", "Answer as a pirate would.")
    *_, alone = answer(GREETING, template=KNOWS_NO_SYSTEM, user_defined=names)
    text, _, told = answer(GREETING, system, Message("user", "hi"), template=KNOWS_NO_SYSTEM, user_defined=names)
    assert text == "Hi!"
    assert told.prompt_tokens >= alone.prompt_tokens + len(system.content)


def test_reasoning_between_control_tokens_is_told_apart(answer):
    script = ["[assistant]", "<think>", "hmm", " let", " me", "</think>", "Four", "."]
    text, reasoning, _ = answer(script, control=["<think>", "</think>"])
    assert (text, reasoning.strip()) == ("Four.", "hmm let me")


def test_a_stop_that_is_a_control_token_ends_the_answer(answer):
    script = ["[assistant]", "Paris", ".", "<|turn_stop|>", "A", " fake", " question?"]
    stop = Sampling(temperature=0, max_tokens=40, stop=("<|turn_stop|>",))
    text, _, done = answer(script, sampling=stop, control=["<|turn_stop|>"])
    assert (text, done.finish_reason) == ("Paris.", "stop")


def test_a_model_without_a_template_writes_no_turn_of_the_user(answer):
    script = ["Assistant:", " Hello", " there.", *bytes_of("\n"), "User:", " And", " now?"]
    text, _, done = answer(script, user_defined=["Assistant:", "User:"], template=None)
    assert (text, done.finish_reason) == ("Hello there.", "stop")


def test_reasoning_that_was_never_opened_is_told_apart_once_it_ends(answer):
    script = ["[assistant]", "hmm", " let", " me", "</think>", "Four", "."]
    for control in (["</think>"], []):
        text, reasoning, _ = answer(script, control=control)
        assert (text, reasoning) == ("Four.", "hmm let me")


def test_a_stop_of_a_text_and_a_control_token_ends_the_answer(answer):
    script = ["[assistant]", "Paris", ".", "<|turn_stop|>", "A", " fake", " question?"]
    stop = Sampling(temperature=0, max_tokens=40, stop=(".<|turn_stop|>",))
    text, _, done = answer(script, sampling=stop, control=["<|turn_stop|>"])
    assert (text, done.finish_reason) == ("Paris", "stop")
