"""Tools that the engine itself calls, and the reasons for which forms are refused, with OpenAI's own client."""

import json
from typing import Annotated

import openai
import pytest
from pydantic import BaseModel, Field

ASK = [{"role": "user", "content": "hello, what can you do?"}]
DATE = [{"role": "user", "content": "to ISO: the 3rd of February 2021"}]


class Animal(BaseModel):
    """What the answer is to be."""

    name: Annotated[str, Field(max_length=12)]
    legs: Annotated[int, Field(ge=0, le=8)]
    tame: bool


CLOCK = {
    "type": "function",
    "function": {
        "name": "clock",
        "description": "Tells the time of a zone.",
        "parameters": {"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"]},
    },
}


def test_an_answer_is_parsed_into_the_clients_own_class(client):
    completion = client.chat.completions.parse(
        model="base", messages=ASK, response_format=Animal, temperature=0, max_tokens=200
    )
    assert completion.choices[0].finish_reason == "stop"
    assert isinstance(completion.choices[0].message.parsed, Animal)


def test_a_tool_is_called_and_its_result_is_answered_under_the_same_message(client):
    first = client.chat.completions.create(
        model="auto", messages=DATE, tools=[CLOCK], tool_choice="required", parallel_tool_calls=False, max_tokens=200
    )
    (choice,) = first.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "clock"
    assert json.loads(call.function.arguments)["zone"] in ("UTC", "CET")
    result = {"role": "tool", "tool_call_id": call.id, "content": "noon"}
    second = client.chat.completions.create(
        model="auto", messages=[*DATE, choice.message, result], tools=[CLOCK], max_tokens=20
    )
    assert second.dlp_local["mix"] == first.dlp_local["mix"]
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


def test_a_streamed_call_comes_whole(client):
    stream = client.chat.completions.create(
        model="base", messages=ASK, tools=[CLOCK], tool_choice=CLOCK | {"function": {"name": "clock"}}, stream=True
    )
    deltas = [chunk.choices[0] for chunk in stream]
    calls = [call for delta in deltas for call in delta.delta.tool_calls or ()]
    assert json.loads("".join(call.function.arguments or "" for call in calls))["zone"] in ("UTC", "CET")
    assert deltas[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}},
            "not is nothing",
        ),
        ({"extra_body": {"grammar": "root ::= other"}}, "other"),
        ({"logit_bias": {"9999999": 1}}, "9999999"),
        ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "mail"}}}, "mail"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_form_that_cannot_be_had_is_a_bad_request_with_the_reason(client, wrong, said, stream):
    with pytest.raises(openai.BadRequestError, match=said) as refused:
        client.chat.completions.create(model="base", messages=ASK, stream=stream, **wrong)
    names = [name for name in (*wrong, *wrong.get("extra_body", ())) if name not in ("tools", "extra_body")]
    assert ([refused.value.param], refused.value.code) == (names, "invalid_value")


PRICE = {"type": "object", "properties": {"amount": {"type": "number", "multipleOf": 0.01}}, "required": ["amount"]}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "price"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_strict_tool_whose_schema_no_grammar_keeps_to_is_refused(client, choice, stream):
    tool = {"name": "price", "parameters": PRICE, "strict": True}
    with pytest.raises(openai.BadRequestError, match=r"'price' is strict.*#/properties/amount: multipleOf") as refused:
        client.chat.completions.create(
            model="base", messages=ASK, tools=[CLOCK, {"type": "function", "function": tool}], tool_choice=choice,
            stream=stream,
        )  # fmt: skip
    assert (refused.value.param, refused.value.code) == ("tools", "invalid_value")
    with pytest.raises(openai.BadRequestError, match="'price' is strict"):
        client.responses.create(model="base", input="a", tools=[tool | {"type": "function"}], tool_choice="required")


def test_a_tool_that_is_not_strict_takes_any_object_where_no_grammar_keeps_to_its_schema(client):
    for strict, choice in ((False, "required"), (True, "auto")):
        tool = {"name": "price", "parameters": PRICE, "strict": strict}
        client.chat.completions.create(
            model="base", messages=ASK, tools=[{"type": "function", "function": tool}], tool_choice=choice, max_tokens=9
        )
