"""`/v1/chat/completions` with OpenAI's own client."""

import asyncio

import openai
import pytest

DATE = [{"role": "user", "content": "to ISO: the 3rd of February 2021"}]


def test_a_message_is_routed_and_answered_with_its_receipt(client):
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=DATE)
    completion = raw.parse()
    assert raw.headers["X-DLP-Local-Mix"] == "dates=1"
    assert completion.choices[0].message.content == "2021-02-03"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.dlp_local["mix"] == {"dates": 1.0}
    assert completion.dlp_local["timings_ms"]["total"] > 0


def test_a_stream_has_the_route_first_and_the_receipt_at_its_end(client):
    stream = client.chat.completions.create(
        model="auto", messages=DATE, stream=True, stream_options={"include_usage": True}
    )
    first, *chunks, last, usage = list(stream)
    assert first.dlp_local["mix"] == {"dates": 1.0}
    assert first.choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "2021-02-03"
    assert last.choices[0].finish_reason == "stop"
    assert last.dlp_local["tokens"]["answer"] == usage.usage.completion_tokens
    assert usage.choices == []


def test_what_of_the_prompt_was_kept_from_before_is_told(client):
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hello! Ask me what I can do."}]
    first, second = (client.chat.completions.create(model="base", messages=[*said, *DATE]).usage for _ in range(2))
    assert 0 < second.prompt_tokens_details.cached_tokens < second.prompt_tokens
    assert first.prompt_tokens_details.cached_tokens <= second.prompt_tokens_details.cached_tokens
    response = client.responses.create(model="auto", input=[*said, *DATE])
    assert response.usage.input_tokens_details.cached_tokens == second.prompt_tokens_details.cached_tokens


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=DATE)
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"


def test_a_parameter_that_might_change_the_answer_is_refused_by_name(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="auto", messages=DATE, extra_body={"mirostat": 2})
    assert refused.value.code == "unknown_parameter"
    assert refused.value.param == "mirostat"


async def test_the_asynchronous_client_streams_several_answers_at_once(server):
    async def ask(client, year):
        message = {"role": "user", "content": f"to ISO: 4 July {year}"}
        stream = await client.chat.completions.create(model="dates", messages=[message], stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        answers = await asyncio.gather(*(ask(client, year) for year in (1999, 2001, 2004)))
    assert answers == ["1999-07-04", "2001-07-04", "2004-07-04"]


def test_a_request_sets_vetoes_and_mixes_its_adapters(client):
    def mix_of(**request):
        return client.chat.completions.create(messages=DATE, max_tokens=1, **request).dlp_local["mix"]

    assert mix_of(model="sql=0.5,shell=0.25") == {"sql": 0.5, "shell": 0.25, "base": 0.25}
    assert mix_of(model="auto", extra_body={"dlp_local": {"mix": {"sql": 0.5}}}) == {"sql": 0.5, "base": 0.5}
    assert mix_of(model="base") == {"base": 1.0}
    assert "dates" not in mix_of(model="auto", extra_body={"dlp_local": {"veto": ["dates"]}})


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"model": "sql", "extra_body": {"dlp_local": {"mix": {"shell": 1.0}}}}, "dlp_local.mix"),
        ({"model": "sql", "extra_body": {"dlp_local": {"veto": ["sql"]}}}, "dlp_local.veto"),
        ({"model": "auto", "extra_body": {"dlp_local": {"veto": ["nothing"]}}}, "dlp_local.veto"),
        ({"model": "auto", "extra_body": {"dlp_local": {"wrong": 1}}}, "dlp_local.wrong"),
        (
            {
                "model": "auto",
                "extra_body": {"dlp_local": {"earlier_answers": [{"text": "x", "answer": "y", "mix": {"sql": -1}}]}},
            },
            "dlp_local.earlier_answers",
        ),
        ({"model": "auto", "max_tokens": 3, "max_completion_tokens": 4}, "max_completion_tokens"),
        ({"model": "auto", "temperature": 9}, "temperature"),
        ({"model": "auto", "top_logprobs": 2}, "top_logprobs"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(client, request_, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(messages=DATE, **request_)
    assert refused.value.param == param


def test_fields_without_effect_are_taken_and_those_that_matter_elsewhere_are_named(client):
    completion = client.chat.completions.create(
        model="auto", messages=DATE, user="ana", store=True, metadata={"a": "b"}, reasoning_effort="low"
    )
    assert completion.dlp_local["ignored"] == ["reasoning_effort"]


def test_an_answer_begun_by_the_request_is_gone_on_with(client):
    begun = [*DATE, {"role": "assistant", "content": "2021-"}]
    assert client.chat.completions.create(model="dates", messages=begun).choices[0].message.content == "02-03"


def test_stops_lengths_seeds_and_several_answers(client):
    stopped = client.chat.completions.create(model="dates", messages=DATE, stop="-02", n=2)
    assert [choice.message.content for choice in stopped.choices] == ["2021", "2021"]
    assert stopped.choices[1].dlp_local["mix"] == {"dates": 1.0}
    short = client.chat.completions.create(model="dates", messages=DATE, max_completion_tokens=2)
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 2
    seeded = [
        client.chat.completions.create(model="base", messages=DATE, temperature=2, seed=-7, max_tokens=8)
        for _ in range(2)
    ]
    assert seeded[0].choices[0].message.content == seeded[1].choices[0].message.content


def test_a_message_too_long_for_the_context_is_a_bad_request_in_a_stream_too(client):
    long = [{"role": "user", "content": "word " * 5000}]
    for streams in (False, True):
        with pytest.raises(openai.BadRequestError, match="context"):
            client.chat.completions.create(model="auto", messages=long, stream=streams)
