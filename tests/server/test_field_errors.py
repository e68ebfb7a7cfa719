"""Errors name the field of the request that has to change, and a code, wherever they arise."""

import httpx
import openai
import pytest

from dlp_local.core.errors import InputError
from tests.support.fakes import Answer, FakeAssistant
from tests.support.http_server import running_server

ASK = {"messages": [{"role": "user", "content": "hello"}]}
LONG = "word " * 5000
TOOL = {"type": "function", "function": {"name": "clock"}}


def refused(http, path, body, status=400):
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "system", "content": LONG}, *ASK["messages"]]}, "messages"),
        ("/v1/completions", {"prompt": LONG}, "prompt"),
        ("/v1/completions", {"prompt": ["hello", LONG]}, "prompt[1]"),
        ("/v1/responses", {"input": LONG}, "input"),
        ("/v1/responses", {"input": "hello", "instructions": LONG}, "input"),
    ],
)
def test_what_does_not_fit_the_context_has_openais_code(http, path, body, param):
    error = refused(http, path, {"model": "dates"} | body)
    assert (error["code"], error["param"]) == ("context_length_exceeded", param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"dlp_local": {"mix": {"sql": 2}}}, "dlp_local.mix"),
        ({"dlp_local": {"mix": {"sql": -1}}}, "dlp_local.mix"),
        ({"dlp_local": {"mix": {"sql": 0.03}}}, "dlp_local.mix"),
        ({"dlp_local": {"mix": {"nothing": 0.5}}}, "dlp_local.mix"),
        ({"model": "sql=2"}, "model"),
        ({"model": "sql=a"}, "model"),
        ({"model": "dates=0.97,sql=0.03"}, "model"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 1000}}, "logit_bias"),
        ({"logit_bias": {"9999999": 1}}, "logit_bias"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL, {"type": "function", "function": {"name": "a b"}}]}, "tools[1].function.name"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [TOOL], "grammar": 'root ::= "a"'}, "grammar"),
        ({"grammar": "root"}, "grammar"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}}, "response_format"),
    ],
)
def test_the_field_that_cannot_be_used_is_named(http, fields, param):
    error = refused(http, "/v1/chat/completions", {"model": "auto"} | ASK | fields)
    assert (error["code"], error["param"]) == ("invalid_value", param)


def test_the_other_endpoints_name_their_own_fields(http):
    form = {"format": {"type": "json_schema", "name": "x", "schema": {"not": {}}}}
    assert refused(http, "/v1/responses", {"input": "a", "text": form})["param"] == "text.format"
    tools = [{"type": "function", "name": "a b"}]
    assert refused(http, "/v1/responses", {"input": "a", "tools": tools})["param"] == "tools[0].name"
    assert refused(http, "/v1/completions", {"prompt": ["a", " "]})["param"] == "prompt[1]"
    assert refused(http, "/v1/route", {"text": " "})["param"] == "text"
    assert refused(http, "/v1/route", {"text": "a", "veto": ["x"]})["code"] == "invalid_value"


def test_an_adapter_that_there_is_not_is_named_as_such(http):
    mix = refused(http, "/v1/chat/completions", ASK | {"dlp_local": {"mix": {"sqll": 0.5}}})
    assert "no adapter 'sqll'. Did you mean 'sql'" in mix["message"]
    model = refused(http, "/v1/chat/completions", ASK | {"model": "sql=0.5,shel=0.5"}, 404)
    assert "no adapter 'shel'. Did you mean 'shell'" in model["message"]
    assert (model["param"], model["code"]) == ("model", "model_not_found")


def test_a_weight_that_would_count_for_nothing_is_refused_with_the_smallest_that_counts(client):
    with pytest.raises(openai.BadRequestError, match=r"0\.03, .*0\.03125"):
        client.chat.completions.create(model="sql=0.03", **ASK)
    least = client.chat.completions.create(model="sql=0.03125,dates=0", **ASK, max_tokens=1)
    assert least.dlp_local["mix"] == {"sql": 0.03125, "base": 0.96875}


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ("answer format: this engine cannot do logprobs, tools. Leave that out.", "logprobs"),
        ("answer format: llama.cpp does not take the grammar (x). Change it.", "grammar"),
        ("scope: adapters are on for the whole context at x. Leave the scope out.", "dlp_local.scope"),
        ("mix: its adapters have rank 600 together, and vLLM takes 512 at most.", None),
    ],
)
def test_what_other_engines_refuse_is_blamed_on_a_field_where_it_is_of_one(said, param):
    with running_server(FakeAssistant(Answer(error=InputError(said), pieces=("a",)))) as running:
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=ASK | {"grammar": 'root ::= "a"'})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["message"]) == (400, param, said)
