"""Tokens of a reply → its reasoning and its answer, whoever opens the reasoning and however it is marked."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.events import ReasoningDelta, TextDelta
from dlp_local.core.values import Message
from dlp_local.engine.answer import AnswerReader
from dlp_local.engine.prompt import Prompt, PromptBuilder
from dlp_local.engine.template import PLAIN_TEMPLATE, ChatTemplate
from tests.support.characters import Characters

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>"
    "{{ m.content }}{% if loop.last and m.role == 'assistant' %}<|return|>{% else %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
CHATML_NAMES = ("<|im_start|>", "<|im_end|>", "<eos>")
HARMONY_NAMES = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<eos>")


def read(said, *, template=CHATML, control=CHATML_NAMES, user_defined=(), stops=(), opening=None):
    """(reasoning, answer) of a reply that says this, its special tokens written by their names."""
    vocabulary = Characters(control, user_defined)
    prompts = PromptBuilder(vocabulary, ChatTemplate(template))
    prompt = prompts.prompt([Message("user", "hi")])
    if opening is not None:
        prompt = Prompt(prompt.turns, opening)
    reader = AnswerReader(vocabulary, prompts, prompt, stops)
    deltas = []
    for token in vocabulary.tokenize(said, special=True):
        if reader.is_end(token) or reader.stopped:
            break
        deltas += reader.feed(token)
    deltas += reader.rest()
    return tuple(
        "".join(delta.text for delta in deltas if isinstance(delta, kind)) for kind in (ReasoningDelta, TextDelta)
    )


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("<think>", "</think>"),
        ("<thinking>", "</thinking>"),
        ("<thought>", "</thought>"),
        ("<seed:think>", "</seed:think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|inner_prefix|>", "<|inner_suffix|>"),
    ],
)
@pytest.mark.parametrize("kind", ["control", "user defined", "text"])
def test_reasoning_between_tags_is_told_apart_whatever_tokens_the_tags_are(begin, end, kind):
    if kind == "text" and begin.startswith("<|inner"):
        pytest.skip("these are tokens wherever they are used")
    tags = (begin, end)
    names = {
        "control": {"control": (*CHATML_NAMES, *tags)},
        "user defined": {"user_defined": tags},
        "text": {},
    }[kind]
    assert read(f"{begin}\nhmm, 2 < 3</think\n{end}\n\nFour.<|im_end|>more", **names) == (
        "hmm, 2 < 3</think\n",
        "Four.",
    )
    assert read(f"so be it{end}Four.", **names, opening=f"<|im_start|>assistant\n{begin}\n") == ("so be it", "Four.")


def test_an_answer_without_reasoning_is_the_answer():
    for said in ("Four.", "<b>Four</b>", "[1] Four", "a <think> b", "< 4", "<"):
        assert read(f"{said}<|im_end|>") == ("", said)


def test_reasoning_that_the_template_has_closed_is_none():
    assert read("Four.", opening="<|im_start|>assistant\n<think>\n\n</think>\n\n") == ("", "Four.")


def test_reasoning_that_was_cut_leaves_no_answer():
    assert read("<think>so far</th") == ("so far</th", "")


def test_channels_other_than_the_final_one_are_reasoning_and_their_end_is_not_the_end():
    said = (
        "<|channel|>analysis<|message|>hmm<|end|><|start|>assistant<|channel|>commentary<|message|>, so<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Four.<|return|>more"
    )
    assert read(said, template=HARMONY, control=HARMONY_NAMES) == ("hmm, so", "Four.")
    assert read(said.replace("<|return|>", "<|end|>"), template=HARMONY, control=HARMONY_NAMES) == ("hmm, so", "Four.")
    opened = "<|start|>assistant<|channel|>analysis<|message|>"
    assert read("hmm<|end|><|start|>assistant<|channel|>final<|message|>Four.<|return|>", template=HARMONY,
                control=HARMONY_NAMES, opening=opened) == ("hmm", "Four.")  # fmt: skip


def test_a_stop_that_is_a_control_token_ends_the_answer_and_a_text_does_too():
    names = (*CHATML_NAMES, "<|turn_stop|>")
    assert read("Paris.<|turn_stop|>A fake", control=names, stops=("<|turn_stop|>",)) == ("", "Paris.")
    assert read("Paris.<|turn_stop|>A fake", stops=("<|turn_stop|>",)) == ("", "Paris.")


def test_a_stop_within_reasoning_is_part_of_it():
    assert read("<think>END of this</think>That is it. END", stops=("END",)) == ("END of this", "That is it. ")


@pytest.mark.parametrize("next_turn", ["User: And", "USER: And", "user: And", "Human: And", "Assistant: I"])
def test_without_a_template_somebodys_next_turn_ends_the_answer(next_turn):
    assert read(f" Hello there.\n{next_turn}", template=PLAIN_TEMPLATE) == ("", "Hello there.")
    assert read(f" Hello there.\n\n{next_turn}", template=PLAIN_TEMPLATE)[1].strip() == "Hello there."


def test_a_template_that_ends_answers_by_text_ends_them():
    falcon = "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n{% endfor %}Assistant:"
    assert read(" Four.\nUser: more", template=falcon) == ("", "Four.")


class Bytes(Characters):
    """One token a byte."""

    def tokenize(self, text, *, special):
        return list(text.encode())

    def piece(self, token):
        return bytes([token])


def answer(raw):
    vocabulary = Bytes((), ())
    prompts = PromptBuilder(Characters(), ChatTemplate(CHATML))
    reader = AnswerReader(vocabulary, prompts, Prompt(((),), ""), ())
    deltas = [delta for token in raw for delta in reader.feed(token)]
    return "".join(delta.text for delta in [*deltas, *reader.rest()])


@given(st.text())
def test_a_text_comes_out_whole_from_its_bytes(text):
    assert answer(text.encode()) == text


@given(st.binary())
def test_bytes_that_are_no_utf8_become_replacement_characters_and_a_cut_character_nothing(raw):
    assert answer(raw) == codecs.getincrementaldecoder("utf-8")("replace").decode(raw)


@pytest.mark.parametrize("end", range(1, 4))
def test_an_answer_never_ends_inside_a_character(end):
    assert answer(b"Hi" + "😀".encode()[:end]) == "Hi"
