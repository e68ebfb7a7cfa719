"""What of a request's messages is answered, and what goes before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Message
from dlp_local.history_route import history_route
from dlp_local.server.errors import ApiError
from dlp_local.server.requests.messages import ChatMessage, conversation


def asked(*messages):
    return conversation([ChatMessage.model_validate(message) for message in messages], 100)


def said(role, content, **more):
    return {"role": role, "content": content} | more


CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def test_the_last_message_of_the_user_is_answered():
    turn = asked(said("system", "Be brief."), said("user", "a"), said("assistant", "b"), said("user", "c"))
    assert (turn.text, [m.content for m in turn.history]) == ("c", ["Be brief.", "a", "b"])


def test_developers_give_instructions_and_those_after_the_message_go_before_it():
    turn = asked(said("user", "a"), said("developer", "Now in French."))
    assert turn.text == "a"
    assert turn.history == (Message("system", "Now in French."),)


def test_instructions_alone_are_answered():
    assert asked(said("system", "Write a title."), said("system", "It is about cats.")).text == "It is about cats."


def test_pieces_of_text_are_joined():
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert asked(said("user", content)).text == "a\nb"


def test_calls_and_results_after_the_message_are_its_tool_messages():
    turn = asked(said("user", "a"), said("assistant", None, tool_calls=[CALL]), said("tool", "3", tool_call_id="c1"))
    assert turn.text == "a"
    assert [message.role for message in turn.tool_messages] == ["assistant", "tool"]
    assert turn.tool_messages[0].tool_calls[0].name == "add"
    assert turn.tool_messages[1].tool_call_id == "c1"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [said("assistant", "a")],
        [said("user", " ")],
        [said("user", "a"), said("assistant", "b"), said("assistant", "c")],
        [said("user", "a"), said("tool", "3", tool_call_id="c1")],
        [said("user", "a"), said("assistant", "", tool_calls=[CALL])],
        [said("tool", "3", tool_call_id="c1")],
    ],
)
def test_what_leaves_nothing_to_answer_is_refused(messages):
    with pytest.raises(ApiError) as refused:
        asked(*messages)
    assert refused.value.status == 400


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=3)), max_size=6))
def test_no_message_is_lost_or_invented(pairs):
    try:
        turn = asked(*(said(role, text) for role, text in pairs))
    except ApiError:
        return
    kept = [*(m.content for m in (*turn.history, *turn.tool_messages)), turn.text]
    kept += [turn.answer_prefix] if pairs[-1][0] == "assistant" else []
    assert sorted(kept) == sorted(text for _, text in pairs)


def test_the_turn_before_is_routed_from_the_text_and_what_it_goes_on_with_counts(assistant):
    first, unsure = "tar: extract archive.tar.gz into /tmp", "and that one too?"
    route = history_route(assistant, [Message("user", first), Message("assistant", "…")], ChatOptions())
    assert route.probabilities == assistant.route(first).probabilities
    after = history_route(assistant, [Message("user", first), Message("user", unsure)], ChatOptions())
    assert after.probabilities["shell"] > assistant.route(unsure).probabilities["shell"]
    assert history_route(assistant, [Message("system", "Be brief.")], ChatOptions()) is None


def test_what_the_assistant_refused_was_said():
    turn = asked(said("user", "a"), said("assistant", None, refusal="I cannot."), said("user", "b"))
    assert [message.content for message in turn.history] == ["a", "I cannot."]


@pytest.mark.parametrize(
    ("message", "place", "code"),
    [
        (said("user", "What is it?", images=["aGk="]), "messages[0].images", "unsupported_content"),
        (said("tool", "3", audio={"data": "aGk="}), "messages[0].audio", "unsupported_content"),
        (said("system", "a", attachments=[{}]), "messages[0].attachments", "unsupported_content"),
        (said("assistant", None, audio={"id": "audio_1"}), "messages[0].audio", "unsupported_content"),
        (said("user", "a", tool_calls=[CALL]), "messages[0].tool_calls", "invalid_value"),
        (said("user", "a", refusal="No."), "messages[0].refusal", "invalid_value"),
        (said("assistant", None, function_call={"name": "add"}), "messages[0].function_call", "invalid_value"),
    ],
)
def test_what_of_a_message_would_not_reach_the_model_is_refused(message, place, code):
    with pytest.raises(ApiError) as refused:
        asked(message, said("user", "b"))
    assert (refused.value.param, refused.value.code) == (place, code)
    assert str(refused.value.message).startswith(f"{place}: ")


def test_what_came_with_an_earlier_reply_may_come_back():
    reply = said("assistant", "Hm.", audio={"id": "audio_1"}, parsed={}, reasoning_content="so", images=[])
    turn = asked(said("user", "a", images=[]), reply, said("user", "b"))
    assert [message.content for message in turn.history] == ["a", "Hm."]


@pytest.mark.parametrize(("kind", "missing"), [("text", "text"), ("refusal", "refusal")])
def test_a_piece_of_text_without_one_is_told_as_that(kind, missing):
    with pytest.raises(ApiError) as refused:
        asked(said("user", [{"type": "text", "text": "a"}, {"type": kind}]))
    assert refused.value.param == f"messages[0].content[1].{missing}"
    assert "is missing" in refused.value.message
