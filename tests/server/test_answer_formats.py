"""Schemas, log probabilities, biases and tools, with OpenAI's own client."""

import json
import math
from functools import partial

import httpx
import openai
import pytest

from dlp_local.core.events import ReplyDone, RouteChosen, TextDelta, Timings, ToolCalled
from dlp_local.core.job import Job
from dlp_local.core.values import Mix, Route, ToolCall
from tests.support.fakes import Answer, Call, FakeAssistant
from tests.support.http_server import running_server

DATE = [{"role": "user", "content": "to ISO: the 3rd of February 2021"}]
SCHEMA = {
    "type": "object",
    "properties": {"year": {"type": "integer"}, "known": {"type": "boolean"}},
    "required": ["year", "known"],
    "additionalProperties": False,
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_an_answer_follows_a_schema_whole_and_streamed(client):
    form = {"type": "json_schema", "json_schema": {"name": "year", "schema": SCHEMA, "strict": True}}
    whole = client.chat.completions.create(model="dates", messages=DATE, response_format=form)
    value = json.loads(whole.choices[0].message.content)
    assert value.keys() == {"year", "known"}
    assert isinstance(value["year"], int)
    chunks = client.chat.completions.create(model="dates", messages=DATE, response_format=form, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    text = {"format": {"type": "json_schema", "name": "year", "schema": SCHEMA}}
    response = client.responses.create(model="dates", input=DATE, text=text)
    assert json.loads(response.output_text).keys() == {"year", "known"}


def test_an_answer_is_any_object_or_follows_a_grammar(client):
    form = {"type": "json_object"}
    answer = client.chat.completions.create(model="dates", messages=DATE, response_format=form, max_tokens=30)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    assert answer.choices[0].message.content.lstrip().startswith("{")
    grammar = {"grammar": 'root ::= "yes" | "no"'}
    answer = client.chat.completions.create(model="dates", messages=DATE, extra_body=grammar)
    assert answer.choices[0].message.content in ("yes", "no")


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "nothing"}}},
        {"type": "yaml"},
    ],
)
def test_a_form_that_cannot_be_is_refused(client, form):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="dates", messages=DATE, response_format=form)


def test_log_probabilities_are_those_of_the_answers_tokens(client):
    asked = partial(client.chat.completions.create, model="dates", messages=DATE, logprobs=True, top_logprobs=2)
    whole = asked().choices[0]
    tokens = whole.logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == whole.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)
    assert math.isclose(tokens[0].logprob, max(other.logprob for other in tokens[0].top_logprobs))
    chunks = [chunk.choices[0].logprobs for chunk in asked(stream=True)]
    streamed = [token for logprobs in chunks if logprobs for token in logprobs.content]
    assert [token.bytes for token in streamed] == [token.bytes for token in tokens]
    completion = client.completions.create(model="dates", prompt=DATE[0]["content"], logprobs=1, echo=True)
    scores = completion.choices[0].logprobs
    assert "".join(scores.tokens) == "2021-02-03"
    assert scores.text_offset[0] == len(DATE[0]["content"])
    response = client.responses.create(
        model="dates", input=DATE[0]["content"], include=["message.output_text.logprobs"], top_logprobs=1
    )
    assert "".join(token.token for token in response.output[0].content[0].logprobs) == "2021-02-03"


def test_a_token_is_banned_by_its_bias(client):
    with pytest.raises(openai.BadRequestError, match="no token's number"):
        client.chat.completions.create(model="dates", messages=DATE, logit_bias={"a": 1})
    bans = {str(token): -100 for token in range(900)}
    banned = client.chat.completions.create(model="dates", messages=DATE, logit_bias=bans, max_tokens=4)
    assert banned.choices[0].message.content != "2021-02-03"[: len(banned.choices[0].message.content)]


def test_an_empty_answer_has_no_log_probabilities_and_says_so():
    with running_server(FakeAssistant(*[Answer(pieces=())] * 2)) as running:

        def choice(path, **asked):
            return httpx.post(f"{running.url}/v1/{path}", json=asked).json()["choices"][0]

        chat = choice("chat/completions", messages=ASK, logprobs=True)
        completion = choice("completions", prompt="a", logprobs=1)
        unasked = choice("chat/completions", messages=ASK)
    assert chat["message"]["content"] == ""
    assert chat["logprobs"] == {"content": [], "refusal": None}
    assert completion["logprobs"] == {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    assert unasked["logprobs"] is None


class CallingAssistant(FakeAssistant):
    """Asks for two calls where tools are offered, and says what came of them when it has the results."""

    def _reply(self, call: Call, cancellation):
        self.calls.append(call)
        route = Route(call.text, {}, Mix())
        yield RouteChosen(route)
        calls = ()
        text = " ".join(message.content for message in call.tool_messages if message.role == "tool")
        if call.answer_format.tools and not call.tool_messages:
            calls = tuple(ToolCall("weather", json.dumps({"city": city})) for city in ("Oslo", "Rome"))
            yield from map(ToolCalled, calls)
        elif text:
            yield TextDelta(text)
        timings = Timings(1.0, 2.0, 3.0)
        yield ReplyDone(call.text, text, route, "stop", 9, 4, 13, 1024, timings, tool_calls=calls)

    def reply(self, text, history=(), **more):
        given = {"previous_route": None, "mix": None, "options": None, "answer_prefix": ""} | more
        call = Call(
            text, tuple(history), given["previous_route"], given["mix"], given["options"], given["answer_prefix"],
            tool_messages=tuple(given["tool_messages"]), answer_format=given["answer_format"],
        )  # fmt: skip
        return Job(partial(self._reply, call))


@pytest.fixture(scope="module")
def caller():
    assistant = CallingAssistant()
    with running_server(assistant) as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0)
        client.assistant = assistant
        yield client


WEATHER = {"name": "weather", "description": "of a city", "parameters": PARAMETERS}
ASK = [{"role": "user", "content": "How is it in Oslo and Rome?"}]


def test_calls_are_asked_for_and_answered_by_their_ids(caller):
    tools = [{"type": "function", "function": WEATHER}]
    choice = caller.chat.completions.create(model="auto", messages=ASK, tools=tools).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls = choice.message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"]
    assert len({call.id for call in calls}) == 2
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"fine {n}"} for n, call in enumerate(calls)]
    last = caller.chat.completions.create(model="auto", messages=[*ASK, choice.message, *results], tools=tools)
    assert last.choices[0].message.content == "fine 0 fine 1"
    assert caller.assistant.calls[-1].tool_messages[0].tool_calls[1].id == calls[1].id


def test_calls_are_streamed_and_one_is_enough_where_only_one_is_wanted(caller):
    tools = [{"type": "function", "function": WEATHER}]
    with caller.chat.completions.stream(model="auto", messages=ASK, tools=tools) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert [call.function.name for call in streamed.message.tool_calls] == ["weather", "weather"]
    assert streamed.finish_reason == "tool_calls"
    one = caller.chat.completions.create(model="auto", messages=ASK, tools=tools, parallel_tool_calls=False)
    assert len(one.choices[0].message.tool_calls) == 1


def test_responses_call_and_go_on_with_the_results_alone(caller):
    tools = [{"type": "function", "strict": False} | WEATHER]
    with caller.responses.stream(model="auto", input=ASK, tools=tools) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    assert kinds.count("response.function_call_arguments.done") == 2
    results = [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"fine {n}"}
        for n, item in enumerate(response.output)
    ]
    last = caller.responses.create(model="auto", input=results, previous_response_id=response.id, tools=tools)
    assert last.output_text == "fine 0 fine 1"
    resent = caller.responses.create(model="auto", input=[*ASK, *response.output, *results], tools=tools)
    assert resent.output_text == "fine 0 fine 1"


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [("none", "none"), ("required", "required"), ({"type": "function", "function": {"name": "weather"}}, "weather")],
)
def test_the_choice_of_a_tool_reaches_the_assistant(caller, choice, chosen):
    tools = [{"type": "function", "function": WEATHER}]
    caller.chat.completions.create(model="auto", messages=ASK, tools=tools, tool_choice=choice)
    assert caller.assistant.calls[-1].answer_format.tool_choice == chosen
    with pytest.raises(openai.BadRequestError):
        caller.chat.completions.create(model="auto", messages=ASK, tool_choice={"type": "function", "name": "other"})
