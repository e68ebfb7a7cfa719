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
