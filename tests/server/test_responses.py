"""`/v1/responses` with OpenAI's own client."""

import openai
import pytest

DATE = "to ISO: the 3rd of February 2021"


def test_a_response_is_routed_and_answered_with_its_receipt(client):
    response = client.responses.create(model="auto", input=DATE, metadata={"mine": "1"})
    assert response.output_text == "2021-02-03"
    assert response.status == "completed"
    assert response.metadata == {"mine": "1"}
    assert response.dlp_local["mix"] == {"dates": 1.0}
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0


def test_a_conversation_goes_on_by_the_id_of_its_last_response(client):
    first = client.responses.create(model="dates", input=DATE)
    second = client.responses.create(model="dates", input="to ISO: 4 July 1999", previous_response_id=first.id)
    alone = client.responses.create(model="dates", input="to ISO: 4 July 1999")
    resent = client.responses.create(
        model="dates",
        input=[
            {"role": "user", "content": DATE},
            *first.output,
            {"role": "user", "content": [{"type": "input_text", "text": "to ISO: 4 July 1999"}]},
        ],
    )
    assert second.usage.input_tokens == resent.usage.input_tokens > alone.usage.input_tokens
    assert second.output_text == resent.output_text
    assert client.responses.retrieve(second.id).output_text == second.output_text


def test_what_is_not_stored_or_was_deleted_cannot_be_gone_on_with(client):
    unstored = client.responses.create(model="auto", input=DATE, store=False)
    deleted = client.responses.create(model="auto", input=DATE)
    client.responses.delete(deleted.id)
    for response in (unstored, deleted):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="auto", input=DATE, previous_response_id=response.id)
        assert refused.value.code == "previous_response_not_found"
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response.id)


def test_a_stream_tells_the_response_in_the_order_of_openais_events(client):
    events = list(client.responses.create(model="auto", input=DATE, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == events[-1].response.output_text == "2021-02-03"
    assert events[0].response.dlp_local["mix"] == {"dates": 1.0}


def test_the_clients_stream_helper_puts_the_response_together(client):
    with client.responses.stream(model="auto", input=DATE) as stream:
        assert stream.get_final_response().output_text == "2021-02-03"


def test_an_answer_that_is_cut_off_is_incomplete(client):
    response = client.responses.create(model="auto", input=DATE, max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"


def test_two_different_lengths_are_refused_and_what_openai_might_add_is_not(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="auto", input=DATE, max_output_tokens=3, extra_body={"max_tokens": 4})
    assert refused.value.param == "max_output_tokens"
    wanted = ["reasoning.encrypted_content", "message.output_text.logprobs"]
    response = client.responses.create(
        model="dates", input=DATE, include=wanted, max_output_tokens=3, extra_body={"max_tokens": 3}
    )
    assert response.max_output_tokens == response.usage.output_tokens == 3
    assert len(response.output[0].content[0].logprobs) == 3


def test_a_response_says_of_tools_what_was_sent(client):
    tool = {"type": "function", "name": "clock", "description": "", "parameters": {"type": "object"}, "strict": True}
    choice = {"type": "function", "name": "clock"}
    response = client.responses.create(model="base", input=DATE, tools=[tool], tool_choice=choice, max_output_tokens=40)
    assert [one.to_dict() for one in response.tools] == [tool]
    assert response.tool_choice.to_dict() == choice


def test_a_long_conversation_that_may_not_be_trimmed_is_too_long_for_the_context(client):
    said = [{"role": role, "content": "word " * 500} for role in ("user", "assistant") * 3]
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="dates", input=[*said, {"role": "user", "content": DATE}], truncation="disabled")
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")


def test_items_that_are_no_text_are_refused_by_name(client):
    with pytest.raises(openai.BadRequestError, match="input_image") as refused:
        client.responses.create(
            model="auto", input=[{"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}]
        )
    assert refused.value.param == "input[0].content[0]"
    with pytest.raises(openai.BadRequestError, match="web_search"):
        client.responses.create(model="auto", input=DATE, tools=[{"type": "web_search"}])
