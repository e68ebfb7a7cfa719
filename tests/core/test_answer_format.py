"""What the form of an answer may be, and what is said of one that cannot be."""

import pytest

from dlp_local.core.answer_format import ANY_TEXT, MOST_TOOLS, AnswerFormat, Tool
from dlp_local.core.conversation import followed_by
from dlp_local.core.errors import InputError
from dlp_local.core.values import Message, ToolCall
from dlp_local.engine.base import Capabilities

CLOCK, MAIL = Tool("clock"), Tool("mail", "Sends a mail.", '{"type": "object"}')


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"grammar": "root ::= [a]", "json_schema": "{}"}, "one of the two"),
        ({"grammar": "x" * 200_000}, "characters"),
        ({"logprobs": 21}, "0 to 20"),
        ({"logprobs": -1}, "0 to 20"),
        ({"logit_bias": ((7, 101.0),)}, "-100 to 100"),
        ({"logit_bias": ((7, float("nan")),)}, "-100 to 100"),
        ({"logit_bias": ((-7, 1.0),)}, "-100 to 100"),
        ({"logit_bias": tuple((n, 1.0) for n in range(2000))}, "at most"),
        ({"tool_choice": "required"}, "no tools"),
        ({"tool_choice": "mail"}, "no tools"),
        ({"tools": (CLOCK,), "tool_choice": "mail"}, "clock"),
        ({"tools": (CLOCK, CLOCK)}, "two tools called 'clock'"),
        ({"tools": tuple(Tool(f"t{n}") for n in range(MOST_TOOLS + 1))}, "at most"),
        ({"tools": (CLOCK,), "grammar": "root ::= [a]"}, "at once"),
    ],
)
def test_a_form_that_cannot_be_is_refused_with_what_to_do(wrong, said):
    with pytest.raises(InputError, match="answer format: .*" + said):
        AnswerFormat(**wrong)


@pytest.mark.parametrize("name", ["", "two words", "auto", "required", "none", "a" * 129, "naïve", "<|im_end|>"])
def test_a_tool_has_a_name_that_a_model_can_write(name):
    with pytest.raises(InputError, match="tool's name"):
        Tool(name)


def test_what_an_engine_needs_for_a_form_is_what_it_asks_for():
    assert ANY_TEXT.needs == AnswerFormat(tools=(CLOCK,), tool_choice="none").needs == ()
    assert AnswerFormat(json_schema="{}", logprobs=0).needs == ("json_schema", "logprobs")
    assert AnswerFormat(tools=(CLOCK,), logit_bias=((1, 2.0),)).needs == ("logit_bias", "tools")


def test_an_engine_refuses_by_name_what_it_cannot_do():
    capabilities = Capabilities(frozenset(), 1, frozenset({"grammar"}))
    capabilities.check(AnswerFormat(grammar="root ::= [a]"))
    with pytest.raises(InputError, match="cannot do logprobs, tools"):
        capabilities.check(AnswerFormat(logprobs=1, tools=(MAIL,)))


def test_the_choice_says_which_tools_are_offered():
    both = (CLOCK, MAIL)
    assert AnswerFormat(tools=both).offered_tools == AnswerFormat(tools=both, tool_choice="required").offered_tools
    assert AnswerFormat(tools=both, tool_choice="mail").offered_tools == (MAIL,)
    assert AnswerFormat(tools=both, tool_choice="none").offered_tools == ()


def test_tool_messages_follow_the_message_and_end_with_a_result():
    call = Message("assistant", "", (ToolCall("clock", "{}", "call_1"),))
    result = Message("tool", "noon", tool_call_id="call_1")
    assert followed_by((), "What time is it?", (call, result)) == [Message("user", "What time is it?"), call, result]
    for wrong in ((call,), (call, result, Message("user", "well?"), result)):
        with pytest.raises(InputError, match="end with a result"):
            followed_by((), "What time is it?", wrong)
