"""Which routes count as accepted: those that the message itself decided, and that nobody took back."""

from dataclasses import replace

import pytest

from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import Correction, Mix, Route
from dlp_local.history import History
from dlp_local.history.accepted_routes import accepted_routes


@pytest.fixture
def history():
    return History(None)


def done(text, probabilities, finish_reason="stop", mix=None):
    best = max(probabilities, key=probabilities.get, default="")
    route = Route(text, probabilities, mix or (Mix.of({best: 1.0}) if best else Mix()))
    return ReplyDone(text, "an answer", route, finish_reason, 5, 2, 7, 1024, Timings(1, 2, 3))


def talk(history, *turns, pack="mine"):
    """A conversation of (text, probabilities); returns its number and the turns' ids."""
    number, ids = history.start(), []
    for text, probabilities in turns:
        turn = history.add_turn(number, ids[-1] if ids else None, text, pack)
        history.finish(turn.id, "an answer", done(text, probabilities))
        ids.append(turn.id)
    return number, ids


def test_a_route_is_accepted_where_the_user_went_on(history):
    talk(
        history,
        ("count cats", {"sql": 0.9, "base": 0.1}),
        ("unpack it", {"shell": 0.8, "base": 0.2}),
        ("bye", {"base": 1.0}),
    )
    assert accepted_routes(history, "mine") == {"count cats": "sql", "unpack it": "shell"}
    assert accepted_routes(history, "another pack") == {}


def test_a_follow_up_that_went_where_the_turn_before_went_is_not(history):
    talk(history, ("count cats", {"sql": 0.9}), ("now the big ones", {"sql": 0.9}), ("bye", {"base": 1.0}))
    assert accepted_routes(history, "mine") == {"count cats": "sql"}


def test_of_a_message_in_parts_each_part_is(history):
    number, (first, _) = talk(history, ("both", {"sql": 0.5, "shell": 0.5}), ("more cats", {"sql": 0.9}))
    parts = (done("count cats", {"sql": 0.95}), done("unpack it", {"shell": 0.95}))
    whole = done("both", {"sql": 0.5, "shell": 0.5})
    route = replace(whole.route, parts=tuple(part.route for part in parts))
    history.finish(first, "an answer", replace(whole, route=route, parts=parts))
    history.add_turn(number, first + 1, "bye", "mine")
    assert accepted_routes(history, "mine") == {"count cats": "sql", "unpack it": "shell"}


@pytest.mark.parametrize("probabilities", [{}, {"sql": 0.4, "shell": 0.35, "base": 0.25}])
def test_a_mix_by_hand_and_an_unsure_route_are_not(history, probabilities):
    talk(history, ("count cats", probabilities), ("bye", {"base": 1.0}))
    assert accepted_routes(history, "mine") == {}


def test_a_route_to_an_adapter_that_was_vetoed_is_not(history):
    _, ids = talk(history, ("count cats", {"sql": 0.9, "shell": 0.1}), ("bye", {"base": 1.0}))
    for left in (Mix(), Mix.of({"shell": 0.1})):
        history.finish(ids[0], "an answer", done("count cats", {"sql": 0.9, "shell": 0.1}, mix=left))
        assert accepted_routes(history, "mine") == {}


def test_of_a_pinned_conversation_and_a_newer_one_the_newer_holds(history):
    number, _ = talk(history, ("count cats", {"sql": 0.9}), ("bye", {"base": 1.0}))
    talk(history, ("count cats", {"shell": 0.9}), ("bye", {"base": 1.0}))
    history.pin(number)
    assert accepted_routes(history, "mine") == {"count cats": "shell"}


def test_a_route_that_was_tried_again_is_not(history):
    number, (first, _) = talk(history, ("count cats", {"sql": 0.9}), ("bye", {"base": 1.0}))
    again = history.add_turn(number, None, "count cats", "mine")
    history.finish(again.id, "another", done("count cats", {"sql": 0.9}))
    history.set_tip(number, first)
    history.step(number, first)
    assert accepted_routes(history, "mine") == {}


def test_a_stopped_or_failed_answer_and_a_corrected_route_are_not(history):
    _, ids = talk(
        history, ("stop me", {"sql": 0.9}), ("fail", {"shell": 0.9}), ("wrong", {"dates": 0.9}), ("bye", {"base": 1})
    )
    history.finish(ids[0], "an", done("stop me", {"sql": 0.9}, "cancelled"))
    history.finish(ids[1], "", None, "it broke")
    assert accepted_routes(history, "mine") == {"wrong": "dates"}
    history.correct(Correction("wrong", Mix(), "sql", "another pack"))
    assert accepted_routes(history, "mine") == {"wrong": "dates"}
    history.correct(Correction("wrong", Mix(), "sql", "mine"))
    assert accepted_routes(history, "mine") == {}


def test_deleted_conversations_do_not_count_and_the_newest_holds(history):
    number, _ = talk(history, ("count cats", {"sql": 0.9}), ("bye", {"base": 1.0}))
    talk(history, ("count cats", {"shell": 0.9}), ("bye", {"base": 1.0}))
    assert accepted_routes(history, "mine") == {"count cats": "shell"}
    history.delete(number + 1)
    assert accepted_routes(history, "mine") == {"count cats": "sql"}
