"""Conversations change tasks, follow-ups belong to the turn before, and each is had as the chat has it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local import Assistant, Message, ReplyDone, Route
from dlp_local.core.events import Timings
from dlp_local.core.values import BASE, Mix
from tools.experiments import conversations
from tools.experiments.conversations import ANY, BASES, FIRST, FURTHER, OWN, SCOPES, TURNS, Messages, Turn

MESSAGES = Messages(
    tasks={task: [f"{task} {number}" for number in range(20)] for task in ("dates", "shell", "sql")},
    base={"talk": ["good night", "hello"], "requests": ["tell me a story", "write a letter"]},
    follow_ups={"dates": ["and the 6th?", "the next day"], "shell": ["as root"]},
    any_follow_ups=["and another one", "do that again", "the rest"],
)


@given(st.integers(0, 10_000))
def test_a_conversation_changes_tasks_and_its_follow_ups_belong_to_the_turn_before(number):
    turns = conversations.conversation(MESSAGES, number)
    assert turns == conversations.conversation(MESSAGES, number)
    assert len(turns) == TURNS
    run, before = 0, Turn("", "", "")
    for turn in turns:
        run = run + 1 if turn.right == before.right else 1
        assert run <= conversations.LONGEST_RUN
        assert (turn.kind in (FIRST, BASES)) == (turn.right != before.right)
        assert (turn.kind == BASES) == (turn.right == BASE)
        texts = {
            FIRST: MESSAGES.tasks.get(turn.right, ()),
            FURTHER: MESSAGES.tasks.get(turn.right, ()),
            OWN: MESSAGES.follow_ups.get(turn.right, ()),
            ANY: MESSAGES.any_follow_ups,
            BASES: [text for group in MESSAGES.base.values() for text in group],
        }[turn.kind]
        assert turn.text in texts
        before = turn
    of_tasks = [turn.text for turn in turns if turn.kind in (FIRST, FURTHER)]
    assert len(set(of_tasks)) == len(of_tasks)


def test_every_kind_of_turn_comes():
    kinds = {turn.kind for number in range(20) for turn in conversations.conversation(MESSAGES, number)}
    assert kinds == set(conversations.KINDS)


def test_messages_come_again_where_there_are_no_others():
    few = Messages({"dates": ["one"], "shell": ["two"]}, {}, {}, [])
    turns = conversations.conversation(few, 0)
    assert len(turns) == TURNS
    assert {turn.text for turn in turns} == {"one", "two"}


class Scripted:
    """An assistant that answers what it is told to, and remembers what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked, self.warmed = iter(answers), [], []

    def route(self, text):
        return Route(text, {"shell": 0.4, BASE: 0.6}, Mix())

    def reply(self, text, history, *, options, previous_route):
        self.asked.append((text, list(history), options.scope, previous_route and previous_route.text))
        route = Route(text, {"shell": 0.7, BASE: 0.3}, Mix())
        done = ReplyDone(
            text, next(self.answers), route, "stop", 50, 1, 51, 100, Timings(1, 20.0, 30), cached_tokens=38
        )
        return iter([done])

    def warm(self, history, *, options):
        self.warmed.append(list(history))
        return iter(())


def test_a_conversation_is_had_with_its_history_and_the_route_of_the_last_answered_turn():
    turns = [Turn("a", "shell", FIRST), Turn("b", "shell", ANY), Turn("c", BASE, BASES), Turn("d", "shell", FIRST)]
    assistant = Scripted(["1", "", "3", "4"])
    found = conversations.play(assistant, turns, "context")
    first = [Message("user", "a"), Message("assistant", "1")]
    unanswered = [*first, Message("user", "b")]
    both = [*first, Message("user", "b\n\nc"), Message("assistant", "3")]
    assert assistant.asked == [
        ("a", [], "context", None),
        ("b", first, "context", "a"),
        ("c", unanswered, "context", "a"),
        ("d", both, "context", "c"),
    ]
    assert assistant.warmed == [first, both, [*both, Message("user", "d"), Message("assistant", "4")]]
    assert found[0] == {
        "kind": FIRST, "right": "shell", "routed": "shell", "alone": BASE, "first_token": 20.0, "prompt": 50,
        "computed": 12,
    }  # fmt: skip
    assert conversations.routing([found])[FIRST] == {"turns": 2, "routed": 1.0, "alone": 0.0}
    assert conversations.routing([found])[BASES] == {"turns": 1, "routed": 0.0, "alone": 1.0}


def test_times_are_of_the_turns_after_the_first(monkeypatch):
    monkeypatch.setattr(conversations, "TURNS", 3)
    took = [[100.0, 10.0, 20.0], [200.0, 30.0, 60.0]]
    played = [[{"first_token": ms, "prompt": int(ms), "computed": 5} for ms in one] for one in took]
    found = conversations.times(played)
    assert found == {
        "median": 25.0, "least": 10.0, "greatest": 60.0, "prompt": 25, "computed": 5, "by_turn": [20.0, 40.0],
    }  # fmt: skip


@pytest.fixture
def with_follow_ups(setup, monkeypatch):
    monkeypatch.setattr(conversations, "TURNS", 3)
    corpus = replace(setup.recipe.corpus, any_follow_ups=("and another one",), follow_ups={"dates": ("and the 6th?",)})
    return replace(setup, recipe=replace(setup.recipe, corpus=corpus))


def test_both_scopes_have_the_same_conversations_and_what_was_had_is_not_had_again(with_follow_ups, monkeypatch):
    found = conversations.measured(with_follow_ups)
    assert sum(shares["turns"] for shares in found["routing"].values()) == 3
    assert list(found["scopes"]) == list(SCOPES)
    turn, context = found["scopes"]["turn"], found["scopes"]["context"]
    assert 0 < turn["least"] <= turn["median"] <= turn["greatest"]
    assert turn["computed"] <= turn["prompt"]
    assert context["computed"] >= turn["computed"]
    monkeypatch.setattr(Assistant, "reply", lambda *_, **__: pytest.fail("asked again"))
    assert conversations.measured(with_follow_ups) == found


def test_a_conversation_that_was_cut_is_had_anew_and_the_others_are_kept(with_follow_ups, monkeypatch):
    two = replace(with_follow_ups, rows=2)
    play, had = conversations.play, []

    def cut_at_the_third(assistant, turns, scope):
        had.append(scope)
        if len(had) == 3:
            raise KeyboardInterrupt
        return play(assistant, turns, scope)

    monkeypatch.setattr(conversations, "play", cut_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        conversations.measured(two)
    found = conversations.measured(two)
    assert had == ["turn", "context", "turn", "turn", "context"]
    assert found["conversations"] == 2
    assert sum(shares["turns"] for shares in found["routing"].values()) == 6


def test_the_section_is_made_of_the_figures():
    scope = {"median": 25.0, "least": 10.0, "greatest": 60.0, "prompt": 25, "computed": 5, "by_turn": [20.0] * 9}
    found = {
        "conversations": 2,
        "routing": {FIRST: {"turns": 8, "routed": 0.875, "alone": 0.75}},
        "scopes": {"turn": scope, "context": scope | {"median": 77.0}},
        "longer": 3.08,
    }
    text = conversations.PART.section(json.loads(json.dumps({"measured": found})))
    assert text.startswith("## ")
    assert f"| {FIRST}: {conversations.KINDS[FIRST]} | 8 | 87.5 | 75.0 |" in text
    assert "| `context` | 77 | 10 | 60 | 25 | 5 | 20 | 20 | 20 |" in text
    assert "3.08 times" in text
    assert "**The paper beside ours.**" in text.rpartition("\n\n")[2]


def test_messages_are_those_of_the_recipe(with_follow_ups):
    messages = Messages.of(with_follow_ups)
    assert set(messages.tasks) == set(with_follow_ups.recipe.corpus.tasks)
    assert list(messages.base) == ["talk"]
    assert messages.any_follow_ups == ("and another one",)
    of_two_kinds = SimpleNamespace(
        valid=lambda data: {"shell": ["a"], "bash": ["b"]}, labels={"bash": "shell"}, follow_ups={}, any_follow_ups=()
    )
    messages = Messages.of(replace(with_follow_ups, recipe=SimpleNamespace(corpus=of_two_kinds)))
    assert messages.tasks == {"shell": ["a", "b"]}
