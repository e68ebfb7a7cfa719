"""Calls in the text of an answer: known whatever pieces it comes in, and text where they are none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.events import AnswerWasReasoning, ReasoningDelta, TextDelta, ToolCalled
from dlp_local.core.values import ToolCall
from dlp_local.engine.calls.reader import ToolCallReader
from dlp_local.engine.calls.syntax import PLAIN_SYNTAX, CallSyntax

LLAMA, MISTRAL = CallSyntax("", "", "name", "parameters"), CallSyntax("[TOOL_CALLS] [", "]")
OSLO, CLOCK = ToolCall("weather", '{"city": "Oslo"}'), ToolCall("clock", "{}")


def read(text, syntax=PLAIN_SYNTAX, sizes=(1,), *, only_calls=False, is_cut=False):
    """The visible text and the calls, where the answer comes in pieces of these sizes."""
    reader, at, pieces = ToolCallReader({"weather", "clock"}, syntax, only_calls=only_calls), 0, []
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(TextDelta(text[at : at + size]))
        at += size
    events = [*reader.told(pieces), *reader.rest(is_cut=is_cut)]
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        [event.call for event in events if isinstance(event, ToolCalled)],
    )


@pytest.mark.parametrize("sizes", [(1,), (3, 7), (1000,)])
@pytest.mark.parametrize(
    ("text", "syntax", "shown", "calls"),
    [
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>', PLAIN_SYNTAX, "", [OSLO]),
        ('I look.\n\n<tool_call>{"arguments": {}, "name": "clock"}</tool_call>\n', PLAIN_SYNTAX, "I look.", [CLOCK]),
        (
            '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>\n'
            '<tool_call>\n{"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}\n</tool_call>',
            PLAIN_SYNTAX,
            "",
            [CLOCK, OSLO],
        ),
        ('<tool_call>{"name": "clock", "arguments": {}}', PLAIN_SYNTAX, "", [CLOCK]),
        ('{"name": "weather", "parameters": {"city": "Oslo"}}', LLAMA, "", [OSLO]),
        (' {"name": "weather", "parameters": {"city": "Oslo"}}', PLAIN_SYNTAX, "", [OSLO]),
        (
            '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "clock", "arguments": {}}]',
            MISTRAL,
            "",
            [OSLO, CLOCK],
        ),
        ('[TOOL_CALLS][{"name": "clock", "arguments": {}}]', MISTRAL, "", [CLOCK]),
    ],
)
def test_a_call_is_told_from_the_text_around_it(text, syntax, shown, calls, sizes):
    assert read(text, syntax, sizes) == (shown, calls)


@pytest.mark.parametrize("sizes", [(1,), (3, 7), (1000,)])
@pytest.mark.parametrize(
    "text",
    [
        "Just words, with a < b and {braces} in them.",
        '{"name": "Ada", "age": 3}',
        '{"name": "rockets", "arguments": {}}',
        '<tool_call>{"name": "rockets", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "clock", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "clock", "arguments": {</tool_call>',
        '<tool_call>{"name": "clock", "arguments": {"at": NaN}}</tool_call>',
        '<tool_call>{"name": "clock", "arguments": "{\\"at\\": 1e999}"}</tool_call>',
        "<tool_call>clock()</tool_call>",
        "<tool_call>",
        "[1, 2, 3]",
        "[TOOL_CALLS] nothing",
        '{"name": "clock"',
        "   ",
    ],
)
def test_what_is_no_call_stays_text(text, sizes):
    assert read(text, MISTRAL, sizes) == (text, [])


CUT = '<tool_call>\n{"name": "clock", "argum'


@pytest.mark.parametrize("sizes", [(1,), (3, 7), (1000,)])
def test_a_call_that_was_cut_off_is_no_text(sizes):
    assert read(f"I look.\n{CUT}", sizes=sizes, is_cut=True) == ("I look.", [])
    assert read(CUT, sizes=sizes, only_calls=True) == ("", [])
    assert read('{"name": "clock", "ar', LLAMA, sizes, only_calls=True) == ("", [])
    assert read('{"name": "Ada", "a', LLAMA, sizes, is_cut=True) == ('{"name": "Ada", "a', [])
    whole = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    assert read(f"{whole}\n{CUT}", sizes=sizes, only_calls=True) == ("", [CLOCK])


def test_reasoning_passes_and_text_that_was_reasoning_is_not_held_back():
    reader = ToolCallReader({"clock"}, PLAIN_SYNTAX)
    deltas = [ReasoningDelta("<tool_call>"), TextDelta("hm <tool"), AnswerWasReasoning(), TextDelta("Yes.")]
    assert [*reader.told(deltas), *reader.rest(is_cut=False)] == [
        ReasoningDelta("<tool_call>"), TextDelta("hm"), TextDelta(" <tool"), AnswerWasReasoning(), TextDelta("Yes."),
    ]  # fmt: skip


PIECES = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "{",
        "}",
        "[",
        "]",
        '"name": "clock"',
        ", ",
        '"arguments": {}',
        "x",
        "\n",
        '"',
        "\\",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_no_text_makes_the_reader_fail_and_pieces_make_no_difference(text, sizes):
    assert read(text, MISTRAL, sizes) == read(text, MISTRAL, (10_000,))


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=8), max_size=3)


@given(ARGUMENTS, st.sampled_from([PLAIN_SYNTAX, MISTRAL, LLAMA]), st.integers(1, 40))
def test_a_call_comes_back_as_it_was_written(arguments, syntax, size):
    written = json.dumps({syntax.name_key: "weather", syntax.arguments_key: arguments}, ensure_ascii=False)
    shown, (call,) = read(f"{syntax.opening}{written}{syntax.closing}", syntax, (size,))
    assert (shown, call.name, json.loads(call.arguments)) == ("", "weather", arguments)
