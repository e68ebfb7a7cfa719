"""The assistant of a server that breaks off, or is none: what came is kept, and what is wrong is told."""

import json
import threading

import pytest

from dlp_local.conversation_turn import answer_turn, store_message
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import HistoryTrimmed, TextDelta
from dlp_local.history import History
from dlp_local.history.open_conversation import OpenConversation
from dlp_local.remote_assistant import open_remote_assistant
from tests.support.scripted_server import BEGUN, PACK, ROUTE, http_reply, scripted, stream


def test_of_a_broken_answer_what_came_is_kept_with_the_reason_and_the_next_message_tries_again():
    half = stream(BEGUN, ({"content": "half an"}, {}))
    failed = stream(BEGUN, ({"content": "so"}, {}), ({}, {"error": {"message": "the engine stopped."}, "choices": []}))
    with scripted(PACK, half, failed) as server:
        remote = open_remote_assistant(server)
        conversation = OpenConversation(History(None))
        for answer, reason in (("half an", "broke off"), ("so", "the engine stopped.")):
            turn = store_message(conversation, "hi", parent=None).id
            done = answer_turn(remote, conversation, turn).finish()
            assert (done.answer, done.finish_reason, done.context_size) == (answer, "error", 99)
            assert str(done.route.mix) == "sql 1.00"
            assert reason in conversation[turn].error
            assert conversation[turn].error.endswith(" Send the message again.")
            assert (done.answer_tokens, bool(done.timings.first_token)) == (1, True)
    with pytest.raises(EngineError, match=r"does not answer .* Is `dlp-local serve` running there"):
        remote.reply("hi").finish()


def test_an_answer_that_broke_off_on_the_server_has_its_numbers_from_there_and_its_reason_once():
    receipt = ROUTE | {
        "answer": "half an", "finish_reason": "error", "error": "the engine ended.",
        "tokens": {"prompt": 5, "answer": 3}, "context": {"used": 8, "size": 99},
        "timings_ms": ROUTE["timings_ms"] | {"first_token": 11, "total": 22},
    }  # fmt: skip
    failed = ({}, {"error": {"message": "the engine ended. Ask again."}, "dlp_local": receipt, "choices": []})
    with scripted(PACK, stream(BEGUN, ({"content": "half an"}, {}), failed)) as server:
        conversation = OpenConversation(History(None))
        turn = store_message(conversation, "hi", parent=None).id
        done = answer_turn(open_remote_assistant(server), conversation, turn).finish()
    assert (done.answer, done.prompt_tokens, done.answer_tokens, done.context_used) == ("half an", 5, 3, 8)
    assert done.timings.first_token == 11
    assert conversation[turn].error == "the engine ended. Send the message again."


def test_an_answer_whose_connection_is_reset_broke_off_and_what_came_is_kept():
    has_come = threading.Event()
    with scripted(PACK, stream(BEGUN, ({"content": "half an"}, {})), reset_when=has_come) as server:
        events = []
        for event in open_remote_assistant(server).reply("hi"):
            events.append(event)
            if isinstance(event, TextDelta):
                has_come.set()
    assert (events[-1].answer, events[-1].finish_reason) == ("half an", "error")
    assert "broke off" in events[-1].error


def test_turns_that_no_longer_fit_are_told():
    receipt = ROUTE | {
        "finish_reason": "stop", "tokens": {"prompt": 1, "answer": 1}, "context": {"used": 2, "size": 99},
        "timings_ms": ROUTE["timings_ms"] | {"first_token": 1, "total": 2}, "history_trimmed": 3,
    }  # fmt: skip
    end = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}], "dlp_local": receipt})
    with scripted(PACK, stream(BEGUN, ({"content": "x"}, {})) + f"data: {end}\n\ndata: [DONE]\n\n".encode()) as server:
        *_, trimmed, done = list(open_remote_assistant(server).reply("hi"))
        assert (trimmed, done.answer) == (HistoryTrimmed(3), "x")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (http_reply({"error": {"message": "no key"}}, 401), "it wants a key. Give one with --api-key-file"),
        (http_reply("<html>", 404), "no server of dlp-local answers there"),
        (http_reply({"name": "p"}), "no server of this version"),
        (http_reply("[]"), "no server of this version"),
        (http_reply("not json"), "no server of dlp-local answers there"),
        (http_reply("[" * 100_000), "no server of dlp-local answers there"),
        (http_reply({"error": {"message": "it is full. Ask again."}}, 503), "says: it is full. Ask again."),
        (b"", "does not answer"),
        (b"SSH-2.0-OpenSSH\r\n", "does not answer"),
    ],
)
def test_what_is_no_server_is_told_for_what_it_is(reply, error):
    with scripted(reply) as server, pytest.raises((InputError, EngineError)) as refused:
        open_remote_assistant(server)
    assert error in str(refused.value)


@pytest.mark.parametrize(
    "chunk", ["[]", '{"choices": 1}', '{"choices": [{"delta": {}}], "dlp_local": {"mix": 3}}', "nan"]
)
def test_a_stream_of_another_form_is_an_error_and_no_traceback(chunk):
    with scripted(PACK, http_reply(f"data: {chunk}\n\n")) as server, pytest.raises(EngineError):
        open_remote_assistant(server).reply("hi").finish()
