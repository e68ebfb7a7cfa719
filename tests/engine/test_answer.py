"""Tokens of a reply → its reasoning and its answer, whoever opens the reasoning and however it is marked."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.events import AnswerWasReasoning, ReasoningDelta, TextDelta
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
    reasoning = answer = ""
    for delta in deltas:
        match delta:
            case ReasoningDelta(text):
                reasoning += text
            case TextDelta(text):
                answer += text
            case AnswerWasReasoning():
                reasoning, answer = reasoning + answer, ""
    return reasoning, answer


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
        ("<|think_start|>", "<|think_end|>"),
        ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),
        ("<|cot|>", "<|/cot|>"),
        ("<|cot|>", "<|end_cot|>"),
        ("<reasoning>", "</reasoning>"),
        ("<｜think｜>", "<｜/think｜>"),
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


LONE = ("</think>", "</thought>", "</seed:think>", "[/THINK]", "◁/think▷", "</reasoning>", "<|END_THINKING|>",
        "<|think_end|>", "<｜end▁of▁thinking｜>", "<|/cot|>")  # fmt: skip


@pytest.mark.parametrize("end", LONE)
@pytest.mark.parametrize("kind", ["control", "user defined", "text"])
def test_what_stands_before_a_lone_closing_tag_is_reasoning(end, kind):
    names = {"control": {"control": (*CHATML_NAMES, end)}, "user defined": {"user_defined": (end,)}, "text": {}}[kind]
    assert read(f"hmm,\n2 < 3{end}\n\nFour.<|im_end|>more", **names) == ("hmm,\n2 < 3", "Four.")
    assert read(f"{end}Four.", **names) == ("", "Four.")
    assert read(f"hmm{end}\nFour.", **names, template=PLAIN_TEMPLATE)[1] == "Four."


def test_a_closing_tag_that_is_quoted_or_has_been_opened_or_comes_later_is_text():
    for said in (
        "Write `</think>` there.",
        "```\nx</think>\n```",
        "<b> <think>x</think>",
        '"</think>" ends it',
        "DeepSeek closes its reasoning with </think> and then answers.",
        "<order><reason code=7>late</reason></order>",
    ):
        assert read(f"{said}<|im_end|>") == ("", said)
    assert read("hm</think>Four</think>!") == ("hm", "Four</think>!")


def test_an_answer_that_is_continued_is_none_of_the_reasoning():
    vocabulary = Characters(CHATML_NAMES, ())
    prompts = PromptBuilder(vocabulary, ChatTemplate(CHATML))
    prompt = prompts.prompt([Message("user", "hi"), Message("assistant", "Well,")])
    reader = AnswerReader(vocabulary, prompts, prompt, ())
    deltas = [delta for token in map(ord, " a</think>b") for delta in reader.feed(token)]
    assert "".join(delta.text for delta in [*deltas, *reader.rest()]) == " a</think>b"


def test_the_tags_that_the_template_splits_answers_at_are_known():
    template = CHATML.replace("{{ m.content }}", "{{ m.content.split('</mull>')[-1] }}")
    assert read("<mull>hmm</mull>Four.", template=template) == ("hmm", "Four.")
    assert read("hmm</mull>Four.", template=template) == ("hmm", "Four.")
    assert read("hmm</mull>Four.") == ("", "hmm</mull>Four.")


@pytest.mark.parametrize("user_defined", [(), ("<answer>", "</answer>", "<think>", "</think>")])
def test_tags_within_which_the_template_keeps_an_answer_are_none_of_reasoning(user_defined):
    keeping = "{% set c = m.content.split('<answer>')[-1].split('</answer>')[0] %}"
    template = CHATML.replace("m.content }", "c }").replace("in messages %}", f"in messages %}}{keeping}")
    reasoning, answer = read("<answer>Four.</answer>", template=template, user_defined=user_defined)
    assert (reasoning, "Four." in answer) == ("", True)
    reasoning, answer = read("<think>hm</think><answer>Four.</answer>", template=template, user_defined=user_defined)
    assert (reasoning, "Four." in answer) == ("hm", True)


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


@pytest.mark.parametrize("stop", ["is.<|turn_stop|>", "<|turn_stop|>A", "s.<|turn_stop|><|eot|>", "<|turn_stop|> A"])
def test_a_stop_of_text_and_control_tokens_ends_the_answer(stop):
    names = (*CHATML_NAMES, "<|turn_stop|>", "<|eot|>")
    said = f"Paris. {stop} and<|turn_stop|>more, is.<|eot|>fine"
    assert read(said, control=names, stops=(stop,)) == ("", "Paris. ")
    assert read("Par<|turn_stop|>is", control=names, stops=(stop,)) == ("", "Paris")


def test_a_stop_that_ends_in_the_token_that_ends_the_answer_is_left_out():
    assert read("Paris.\n##<|im_end|>more", stops=("\n##<|im_end|>",)) == ("", "Paris.")


def test_a_stop_within_reasoning_is_part_of_it():
    assert read("<think>END of this</think>That is it. END", stops=("END",)) == ("END of this", "That is it. ")


NEXT_TURNS = (
    "User: And", "USER: And", "user: And", "Human: And", "Assistant: I", "### User: And", "###User:", "**User:** x",
    "**User**: x", "User : x", "Q: x", "You: x", "[User]: x", "<|user|>\nx", "<|im_start|>user", "_Human_: x",
    "# Instruction: x", "[INST] x", "<user>: x", "(User): x", "User： x", " User: x", "### Human\n\nx", "System:",
)  # fmt: skip


@pytest.mark.parametrize("gap", ["\n", "\r\n", "\n\n", " \n", "\n \n"])
@pytest.mark.parametrize("next_turn", NEXT_TURNS)
def test_without_a_template_somebodys_next_turn_ends_the_answer(next_turn, gap):
    assert read(f" Hello there.{gap}{next_turn}", template=PLAIN_TEMPLATE, control=()) == ("", "Hello there.")
    assert read(f"{gap}{next_turn}", template=PLAIN_TEMPLATE, control=()) == ("", "")


ORDINARY = (
    "Say User: hello", "Steps:\nQuick: one\nYouth: two\nQuality: three", "- User: a name\n* User: x\n1. User: y",
    "Names:\n  user: root", "The end.\nUsers: many", "It is\nyou: not me", "a\nq: small",
    "x\n## System requirements:\n8 GB", "x\n**Usage:** y", "x\n[1]: y", "x\nUser", "x\n<b>y</b>", "x\nSystematic: y",
    "x\n**Users**", "x\nQ", "x\n[Use: y",
)  # fmt: skip


@pytest.mark.parametrize("said", ORDINARY)
def test_ordinary_lines_are_no_next_turn(said):
    assert read(f" {said}", template=PLAIN_TEMPLATE) == ("", said)


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
