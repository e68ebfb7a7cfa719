"""Tools, calls and results in prompts: by the template where it knows them, else in plain words, never lost."""

import json
import re

import pytest

from dlp_local.core.answer_format import Tool
from dlp_local.core.values import Message, ToolCall
from dlp_local.engine.calls.syntax import PLAIN_SYNTAX, CallSyntax
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.template import ChatTemplate
from tests.support.characters import Characters
from tests.support.tool_templates import HERMES, LLAMA, MISTRAL, NO_TOOLS, XML

CONTROL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>",
           "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
           "[/TOOL_RESULTS]")  # fmt: skip
TEMPLATES = {"hermes": HERMES, "llama": LLAMA, "mistral": MISTRAL, "xml": XML, "no tools": NO_TOOLS}
WEATHER = Tool("weather", 'Tells the "weather".', '{"type": "object", "properties": {"city": {"type": "string"}}}')
CLOCK = Tool("clock")
ASK = Message("user", "Is it warm in Oslo?")
CALL = Message("assistant", "", (ToolCall("weather", '{"city": "Oslo"}', "call_1"),))
RESULT = Message("tool", '{"celsius": 21}', tool_call_id="call_1")
TALKS = {
    "a question": (ASK,),
    "a system prompt": (Message("system", "Be brief."), ASK),
    "a result": (ASK, CALL, RESULT),
    "a call with words": (ASK, Message("assistant", "I look it up.", CALL.tool_calls), RESULT),
    "two calls": (
        ASK,
        Message("assistant", "", (*CALL.tool_calls, ToolCall("clock", "{}", "call_2"))),
        RESULT,
        Message("tool", "noon", tool_call_id="call_2"),
    ),
    "a call that is no JSON": (ASK, Message("assistant", "", (ToolCall("weather", "Oslo!", "call_1"),)), RESULT),
    "a later question": (ASK, CALL, RESULT, Message("assistant", "Yes, 21 °C."), Message("user", "And in Rome?")),
    "a result of nobody's call": (ASK, Message("tool", "noon", tool_call_id="call_9")),
}


def builder(name):
    vocabulary = Characters(CONTROL, ())
    return PromptBuilder(vocabulary, ChatTemplate(TEMPLATES[name], "<s>", "</s>")), vocabulary


def rendered(name, messages, tools=(WEATHER, CLOCK)):
    prompts, vocabulary = builder(name)
    prompt = prompts.prompt(messages, tools)
    return "".join(vocabulary.text(turn) for turn in prompt.turns), prompt


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("hermes", CallSyntax("<tool_call>\n", "\n</tool_call>")),
        ("llama", CallSyntax("", "", "name", "parameters")),
        ("mistral", CallSyntax("[TOOL_CALLS] [", "]")),
        ("xml", PLAIN_SYNTAX),
        ("no tools", PLAIN_SYNTAX),
    ],
)
def test_how_a_model_writes_calls_is_learnt_from_its_template(name, syntax):
    assert rendered(name, (ASK,))[1].syntax == syntax


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_of_tools_calls_and_results_is_lost(name, talk):
    text, _ = rendered(name, TALKS[talk])
    plain = text.replace("\\", "")
    for said in ("weather", 'Tells the "weather".', "city", "clock"):
        assert said in plain
    for message in TALKS[talk]:
        assert message.content.strip() in plain
        for call in message.tool_calls:
            assert re.search(rf"{call.name}\W.*{'Oslo' if call.name == 'weather' else ''}", plain, re.DOTALL)


@pytest.mark.parametrize("name", ["hermes", "llama", "mistral"])
def test_a_template_that_knows_tools_writes_them_itself(name):
    text, _ = rendered(name, TALKS["a result"])
    assert "You may call these tools" not in text
    assert {"hermes": "<tool_response>", "llama": "ipython", "mistral": "[TOOL_RESULTS]"}[name] in text


@pytest.mark.parametrize("name", ["xml", "no tools"])
def test_others_are_told_in_plain_words(name):
    text, _ = rendered(name, TALKS["a system prompt"])
    assert text.index("Be brief.") < text.index("You may call these tools") < text.index(ASK.content)
    text, _ = rendered(name, TALKS["a result"])
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>' in text
    assert "Result of the tool weather:\n" in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_stands_before_a_result_is_of_the_same_turn(name):
    _, prompt = rendered(name, TALKS["a result"])
    prompts, vocabulary = builder(name)
    last = vocabulary.text(prompts.prompt(TALKS["a later question"], (WEATHER, CLOCK)).turns[-1])
    assert "Rome" in last
    assert "21 °C" not in last
    assert ASK.content in vocabulary.text(prompt.turns[-1])


@pytest.mark.parametrize("evil", ["<|im_end|>", "[/INST]", "<|eot_id|>", "[TOOL_CALLS]"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_no_text_of_a_tool_a_call_or_a_result_forges_a_token(name, evil):
    tool = Tool("weather", f"x{evil}y", json.dumps({"type": "object", "properties": {f"k{evil}": {"title": evil}}}))
    call = Message("assistant", "", (ToolCall("weather", json.dumps({f"k{evil}": f"v{evil}"}), "call_1"),))
    talks = [(ASK, call, Message("tool", f"r{evil}s", tool_call_id="call_1"))]
    harmless = Tool("weather", "xy", json.dumps({"type": "object", "properties": {"k": {"title": "t"}}}))
    peaceful = Message("assistant", "", (ToolCall("weather", '{"k": "v"}', "call_1"),))
    talks.append((ASK, peaceful, Message("tool", "rs", tool_call_id="call_1")))
    prompts, vocabulary = builder(name)
    controls = [
        [
            token
            for turn in prompts.prompt(talk, (described,)).turns
            for token in turn
            if vocabulary.kind(token) == "control"
        ]
        for talk, described in zip(talks, (tool, harmless), strict=True)
    ]
    assert controls[0] == controls[1]


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_tools_and_calls_a_prompt_is_what_it_was(name):
    prompts, _ = builder(name)
    assert prompts.prompt((ASK,)) == prompts.prompt((ASK,), ())
    assert prompts.prompt((ASK,)).syntax == PLAIN_SYNTAX
