"""What clients send beside the plainest request, and what no body may be; no server is needed for it."""

import json

import pytest

from dlp_local.core.text import is_unicode
from dlp_local.server.bodies import MOST_VALUES, parse_body
from dlp_local.server.errors import ApiError
from dlp_local.server.requests.chat import UNUSED, ChatRequest
from dlp_local.server.requests.responses import UNUSED as RESPONSES_UNUSED
from dlp_local.server.requests.responses import ResponseRequest

ASKED = {"messages": [{"role": "user", "content": "hello"}]}
HALF = "half \ud800"


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
    assert body.tools[0].function.tool().parameters == "{}"


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
