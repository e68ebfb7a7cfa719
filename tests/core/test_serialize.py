"""One JSON form of routes and replies: what it gives is read back, also what an earlier version wrote."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.serialize import receipt_json, reply_from_json, reply_json, route_json
from dlp_local.core.values import Mix, Route

REPLY = ReplyDone(
    "count cats",
    "SELECT 1",
    Route("count cats", {"base": 0.1234567, "sql": 0.8765433}, Mix.of({"sql": 0.75}), 1.23456, 0.5),
    "stop",
    12,
    3,
    15,
    1024,
    Timings(1.75, 20.5, 60.25),
)
FIRST_FORM = {
    "mix": {"sql": 0.75},
    "probabilities": {"sql": 0.8765433, "base": 0.1234567},
    "finish_reason": "stop",
    "tokens": {"prompt": 12, "answer": 3},
    "context": {"used": 15, "size": 1024},
    "timings_ms": {"embed": 1.23456, "route": 0.5, "routed": 1.75, "first_token": 20.5, "total": 60.25},
    "error": "",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_reply_is_its_texts_and_its_receipt_in_one_flat_object():
    assert reply_json(REPLY) == {
        "text": "count cats",
        "answer": "SELECT 1",
        "mix": {"sql": 0.75, "base": 0.25},
        "probabilities": {"sql": 0.876543, "base": 0.123457},
        "finish_reason": "stop",
        "tokens": {"prompt": 12, "cached": 0, "answer": 3},
        "context": {"used": 15, "size": 1024},
        "timings_ms": {"embed": 1.235, "router": 0.5, "route": 1.75, "first_token": 20.5, "total": 60.25},
    }


def test_a_route_has_the_same_keys_as_in_a_reply():
    route, reply = route_json(REPLY.route), reply_json(REPLY)
    assert set(route) < set(reply)
    assert set(route["timings_ms"]) < set(reply["timings_ms"])
    assert (route["mix"], route["probabilities"]) == (reply["mix"], reply["probabilities"])


SPLIT = replace(REPLY, route=replace(REPLY.route, parts=(REPLY.route, REPLY.route)), parts=(REPLY, REPLY))


def test_parts_are_whole_routes_and_replies_and_are_read_back():
    assert route_json(SPLIT.route)["parts"] == [route_json(REPLY.route)] * 2
    assert reply_json(SPLIT)["parts"] == [reply_json(REPLY)] * 2
    read = reply_from_json(SPLIT.text, SPLIT.answer, json.loads(json.dumps(receipt_json(SPLIT))))
    assert json.dumps(reply_json(read)) == json.dumps(reply_json(SPLIT))
    assert read.route.parts == tuple(part.route for part in read.parts)
    assert "parts" not in reply_json(REPLY) | route_json(REPLY.route)


@given(json_values)
def test_parts_of_another_shape_are_a_value_error(parts):
    try:
        reply = reply_from_json("a", "b", FIRST_FORM | {"parts": parts})
    except ValueError:
        return
    assert not reply.parts


def test_probabilities_stand_the_most_probable_first():
    assert list(route_json(REPLY.route)["probabilities"]) == ["sql", "base"]


def test_a_receipt_of_the_first_form_is_read():
    assert reply_from_json("count cats", "SELECT 1", FIRST_FORM) == REPLY


@given(st.sampled_from(sorted(FIRST_FORM)), json_values)
def test_a_receipt_of_another_shape_is_a_value_error(key, value):
    try:
        reply = reply_from_json("a", "b", FIRST_FORM | {key: value})
    except ValueError:
        return
    json.dumps(receipt_json(reply), allow_nan=False)


@pytest.mark.parametrize("receipt", [None, [], "x", {}, {"mix": {}}, FIRST_FORM | {"timings_ms": {"embed": 1e999}}])
def test_what_is_no_receipt_is_refused(receipt):
    with pytest.raises(ValueError, match=r"^(what is in it is laid out in another way|it has no )"):
        reply_from_json("a", "b", receipt)
