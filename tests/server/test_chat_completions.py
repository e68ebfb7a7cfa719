"""`/v1/chat/completions` with OpenAI's own client."""

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
