"""What clients send beside the plainest request, and what no body may be; no server is needed for it."""

import json

import pytest

from dlp_local.core.text import is_unicode
from dlp_local.server.bodies import MOST_NAMED, MOST_VALUES, parse_body
from dlp_local.server.errors import ApiError
from dlp_local.server.requests.chat import UNUSED, ChatRequest
from dlp_local.server.requests.responses import UNUSED as RESPONSES_UNUSED
from dlp_local.server.requests.responses import ResponseRequest
from dlp_local.server.requests.sampling import ALIASES

ASKED = {"messages": [{"role": "user", "content": "hello"}]}
HALF = "half \ud800"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def parsed(**fields):
    return parse_body(json.dumps(ASKED | fields).encode(), ChatRequest, UNUSED)


def refusal(body, model=ChatRequest, unused=UNUSED):
    with pytest.raises(ApiError) as refused:
        parse_body(body if isinstance(body, bytes) else json.dumps(body).encode(), model, unused)
    assert refused.value.status == 400
    refused.value.response()  # it can be written as JSON in UTF-8
    return refused.value


def test_a_null_is_a_field_that_is_not_there_at_any_depth():
    function = {"name": "now", "description": None, "parameters": None, "strict": None}
    body = parsed(
        temperature=None,
        unheard_of=None,
        stream_options={"include_usage": None},
        tools=[{"type": "function", "function": function}],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": None, "schema": {}}},
    ).body
    assert body.stream_options.include_usage is False
    assert body.tools[0].function.tool("tools[0].function").parameters == "{}"


@pytest.mark.parametrize(
    ("fields", "model", "param", "said"),
    [
        (
            {"input": [{"role": "user", "content": "a"}, {"role": "boss", "content": "a"}]}, ResponseRequest,
            "input[1].role", '"boss" cannot be used (give "system" or "developer" or "user" or "assistant").',
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 1}]}]}, ResponseRequest,
         "input[0].content[0].text", "1 cannot be used (give text)."),
        ({"input": [None]}, ResponseRequest, "input[0]", "null cannot be used (give an object)."),
        ({"input": [{"content": "a"}]}, ResponseRequest, "input[0].role", "is missing."),
        ({"input": "a", "background": True}, ResponseRequest, "background", "true cannot be used (give false)."),
        ({"input": "a", "include": ["foo"]}, ResponseRequest, "include[0]", '"foo" cannot be used (give "message.'),
        ({"input": "a", "text": {"format": {"schema": 5}}}, ResponseRequest, "text.format.schema", "give an object"),
        (ASKED | {"stop": ["a", True]}, ChatRequest, "stop[1]", "true cannot be used (give text)."),
        (ASKED | {"stop": {}}, ChatRequest, "stop", "{} cannot be used (give text or a list of text)."),
        ({"messages": [{"role": "user", "content": 5}]}, ChatRequest, "messages[0].content", "5 cannot be used"),
        (ASKED | {"tool_choice": "some"}, ChatRequest, "tool_choice", 'give "auto" or "none" or "required" or an obj'),
        (ASKED | {"tool_choice": {"type": "all"}}, ChatRequest, "tool_choice.type", '"all" cannot be used'),
        (ASKED | {"stream_options": {"include_usages": 1}}, ChatRequest, "stream_options.include_usages",
         "there is nothing of that name. Did you mean 'include_usage'"),
        (ASKED | {"repetition_penalty": 99}, ChatRequest, "repetition_penalty", "99 cannot be used (give a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place_in_the_json_and_in_its_words(fields, model, param, said):
    unused = RESPONSES_UNUSED if model is ResponseRequest else UNUSED
    with pytest.raises(ApiError) as refused:
        parse_body(json.dumps(fields).encode(), model, unused, ALIASES).body.messages(9)
    assert refused.value.param == param
    assert refused.value.message.startswith(f"{param}: ")
    assert said in refused.value.message
    assert refused.value.code


def test_two_names_of_one_option_may_not_differ():
    same = parse_body(json.dumps(ASKED | {"repeat_penalty": 2, "repetition_penalty": 2}).encode(), ChatRequest, UNUSED,
                      ALIASES)  # fmt: skip
    assert same.body.repeat_penalty == 2
    with pytest.raises(ApiError, match="are the same, and differ") as refused:
        parse_body(json.dumps(ASKED | {"repeat_last": 2, "repeat_last_n": 3}).encode(), ChatRequest, UNUSED, ALIASES)
    assert refused.value.param == "repeat_last_n"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "seed"])
def test_minus_one_is_how_other_servers_clients_leave_an_option_out(name):
    assert getattr(parsed(**{name: -1}).body, name) is None


def test_all_tokens_and_the_best_one_alone_are_asked_for_as_elsewhere():
    assert parsed(top_k=-1).body.top_k == 0
    best = parsed(top_p=0).body
    assert (best.top_k, best.top_p) == (1, None)


def test_a_schema_beside_json_object_is_kept_to():
    schema = {"type": "object", "properties": {"a": {"type": "null"}}}
    assert (
        json.loads(parsed(response_format={"type": "json_object", "schema": schema}).body.answer_format().json_schema)
        == schema
    )
    assert parsed(response_format={"type": "json_object"}).body.answer_format().json_schema == "{}"


def test_no_log_probabilities_may_be_asked_for_as_none_of_the_others():
    assert parsed(logprobs=False, top_logprobs=0).body.answer_format().logprobs is None
    with pytest.raises(ApiError, match="needs logprobs"):
        parsed(top_logprobs=2).body.answer_format()


def test_what_others_would_think_more_or_less_by_is_named_as_without_effect():
    request = parsed(reasoning={"effort": "low"}, chat_template_kwargs={"enable_thinking": False}, cache_prompt=True)
    assert set(request.ignored) == {"reasoning", "chat_template_kwargs"}


def test_what_has_no_effect_within_a_field_is_named_too():
    named = [{"role": "user", "content": "hello"}, {"role": "user", "content": "hello", "name": "ana"}]
    assert parsed(messages=named).ignored == ("messages[].name",)
    assert parsed(messages=[{"role": "user", "content": "hello", "name": None}]).ignored == ()
    body = json.dumps({"input": "hello", "text": {"verbosity": "low"}}).encode()
    assert parse_body(body, ResponseRequest, RESPONSES_UNUSED).ignored == ("text.verbosity",)


def test_what_is_passed_over_within_a_message_or_a_tool_is_named():
    function = {"name": "now", "input_schema": {"type": "object"}}
    pieces = [{"type": "text", "text": "hello", "cache_control": {}, "lang": "en"}]
    asked = parsed(
        messages=[{"role": "user", "content": pieces, "colour": 1, "id": "m1"}, {"role": "assistant", "parsed": {}}],
        tools=[{"type": "function", "strict": True, "function": function}],
    )
    assert asked.ignored == (
        "messages[].colour", "messages[].content[].lang", "tools[].strict", "tools[].function.input_schema",
    )  # fmt: skip
    item = {"role": "user", "content": "hello", "colour": 1}
    body = json.dumps({"input": [item, {"type": "reasoning", "summary": []}]}).encode()
    assert parse_body(body, ResponseRequest, RESPONSES_UNUSED).ignored == ("input[].colour",)


def test_no_more_is_named_than_a_reply_has_room_for():
    more = {f"{'x' * 200}{number}": 1 for number in range(1000)}
    named = parsed(messages=[{"role": "user", "content": "hello", **{f"{n}": 1 for n in range(1000)}}]).ignored
    assert len(named) == MOST_NAMED
    (name,) = parsed(messages=[{"role": "user", "content": "hello", **more}]).ignored
    assert len(name) < 100


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"type": "json_schema", "json_schema": SCHEMA}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "schema": SCHEMA}, "response_format.json_schema"),
        ({"type": "json_object", "json_schema": {"schema": SCHEMA}}, "response_format.json_schema"),
        ({"type": "text", "json_schema": {"schema": SCHEMA}}, "response_format.json_schema"),
        ({"type": "text", "schema": SCHEMA}, "response_format.schema"),
    ],
)
def test_a_schema_that_no_answer_would_follow_is_refused(given, param):
    with pytest.raises(ApiError) as refused:
        parsed(response_format=given).body.answer_format()
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}, "text.format.schema"),
        ({"format": {"schema": SCHEMA}}, "text.format.schema"),
        ({"fromat": {"type": "json_object"}}, "text.fromat"),
    ],
)
def test_a_schema_that_no_response_would_follow_is_refused(given, param):
    body = json.dumps({"input": "hello", "text": given}).encode()
    with pytest.raises(ApiError) as refused:
        parse_body(body, ResponseRequest, RESPONSES_UNUSED).body.answer_format()
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "function_call", "call_id": "c"}, "input[0].name"),
        ({"type": "function_call_output", "call_id": "c", "content": "5"}, "input[0].output"),
        ({"role": "user", "content": "hello", "images": ["aGk="]}, "input[0].images"),
    ],
)
def test_an_item_that_would_not_reach_the_model_is_refused(item, param):
    body = json.dumps({"input": [item]}).encode()
    with pytest.raises(ApiError) as refused:
        parse_body(body, ResponseRequest, RESPONSES_UNUSED).body.messages(100)
    assert refused.value.param == param


def test_a_body_may_begin_with_the_mark_that_some_editors_write():
    assert parse_body(b"\xef\xbb\xbf" + json.dumps(ASKED).encode(), ChatRequest, UNUSED).body.messages


def test_a_field_that_is_there_twice_is_refused_by_name():
    assert "'max_tokens' is there twice" in refusal(b'{"messages": [], "max_tokens": 1, "max_tokens": 9}').message


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"model": HALF}, "model"),
        ({"stop": ["a", HALF]}, "stop[1]"),
        ({"messages": [{"role": "user", "content": [{"type": HALF, "text": "a"}]}]}, "messages[0].content[0].type"),
        ({"logit_bias": {HALF: 1}}, "logit_bias"),
        ({"dlp_local": {"mix": {HALF: 1}}}, "dlp_local.mix"),
        ({"tool_choice": {"type": "function", "function": {"name": HALF}}}, "tool_choice.function.name"),
        ({"grammar": HALF}, "grammar"),
        ({HALF: 1}, None),
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(fields, place):
    error = refusal(ASKED | fields)
    assert "no valid Unicode" in error.message
    assert error.param == place
    assert is_unicode(error.message)


def test_half_a_character_in_what_comes_back_with_a_response_is_refused():
    for fields in ({"metadata": {"a": HALF}}, {"instructions": HALF}, {"previous_response_id": HALF}):
        assert "no valid Unicode" in refusal({"input": "a"} | fields, ResponseRequest, RESPONSES_UNUSED).message


def test_a_whole_character_in_two_halves_is_read():
    body = json.dumps(ASKED | {"stop": "\N{GRINNING FACE}"}).encode()
    assert b"\\ud83d\\ude00" in body
    assert parse_body(body, ChatRequest, UNUSED).body.stop == "\N{GRINNING FACE}"


def test_a_flood_of_values_is_refused_before_each_is_checked():
    assert "values" in refusal({"messages": [{"role": 1}] * MOST_VALUES}).message
    assert "values" in refusal(ASKED | {"logit_bias": {str(number): 1 for number in range(MOST_VALUES)}}).message


FUNCTION = {"name": "now", "parameters": {"properties": {"a": {"default": "HERE"}}}}
FORM = {"type": "json_schema", "json_schema": {"schema": {"enum": ["HERE"]}}}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("fields", "model", "unused"),
    [
        ({"input": "a", "tools": [{"type": "function", **FUNCTION}]}, ResponseRequest, RESPONSES_UNUSED),
        (ASKED | {"tools": [{"type": "function", "function": FUNCTION}]}, ChatRequest, UNUSED),
        (ASKED | {"response_format": FORM}, ChatRequest, UNUSED),
        (ASKED | {"metadata": {"a": "HERE"}}, ChatRequest, UNUSED),
    ],
)
def test_a_number_that_json_has_not_is_refused_by_name_wherever_it_stands(fields, model, unused, number):
    refused = refusal(json.dumps(fields).replace('"HERE"', number).encode(), model, unused)
    assert refused.code == "invalid_body"
    assert f"it holds {number}, which is no finite number" in refused.message
