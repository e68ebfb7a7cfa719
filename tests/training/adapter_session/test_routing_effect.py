"""How a pack's routing learns a new adapter, and what that changes, found before it is there."""

import numpy as np
import pytest

from dlp_local.core.values import AdapterChange
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter
from dlp_local.training.adapter import routing_effect
from dlp_local.training.adapter.acceptance import MOST_BACKGROUND, against_routing
from dlp_local.training.adapter.routing_effect import EVERYDAY, MOST_EXAMPLES, RoutingJudge

pytestmark = pytest.mark.usefixtures("in_shared_data")

POEMS = [f"Write a {mood} poem about {thing}" for mood in ("sad", "short", "cheerful") for thing in
         ("the sea", "autumn", "a lost key", "my grandmother", "the moon")]  # fmt: skip
CAPITALS = [f"Write in capitals: {first} {word}" for first in ("river", "stone", "cloud") for word in
            ("garden", "window", "pencil", "bottle", "candle")]  # fmt: skip
SQL = [f"How many {things} are from {place}?\ncolumns: name, {things}, place" for things in ("players", "cars", "songs")
       for place in ("Norway", "Peru", "the north", "London")]  # fmt: skip


@pytest.fixture(scope="module")
def with_poems(shared_pack, tmp_path_factory, bundled):
    """A pack with an adapter that its router was not trained on."""
    examples = tmp_path_factory.mktemp("examples") / "poems.txt"
    examples.write_text("\n".join(POEMS))
    add_adapter(shared_pack, bundled / "describe.gguf", "poems", AdapterChange(examples=examples))
    return open_pack(shared_pack)


@pytest.fixture(scope="module")
def judge(with_poems):
    return RoutingJudge(with_poems, ["new"])


def learn(judge, prompts, held_out, name="new"):
    return judge.learn({name: prompts}, {name: held_out})[name]


@pytest.mark.parametrize("known", [12, 1])
def test_an_adapter_of_its_own_kind_gets_its_messages_and_takes_none(judge, known):
    learnt = learn(judge, CAPITALS[:known], CAPITALS[12:])
    assert (learnt.effect.own, learnt.effect.taken, learnt.effect.background) == (1.0, (), 0.0)
    assert learnt.effect.judged > 50
    assert {*learnt.examples} == {*CAPITALS[:known]}
    assert learnt.detector


def test_messages_that_it_would_take_from_another_are_told_with_their_owner(judge):
    effect = learn(judge, POEMS[:9], POEMS[9:]).effect
    assert effect.taken
    assert {owner for owner, _ in effect.taken} == {"poems"}
    assert {text for _, text in effect.taken} <= {*POEMS}
    assert effect.too_many > 0
    assert "of poems" in "; ".join(against_routing(effect))


def test_it_is_held_back_until_it_takes_no_more_than_it_may(judge, monkeypatch):
    monkeypatch.setattr(routing_effect, "SHIFTS", (1.0,))
    assert learn(judge, POEMS[:9], POEMS[9:]).effect.too_many > 0
    monkeypatch.setattr(routing_effect, "SHIFTS", (1.0, -30.0))
    held_back = learn(judge, POEMS[:9], POEMS[9:]).effect
    assert (held_back.too_many, held_back.own) == (0, 0.0)
    assert "only 0% of its own held-out messages would come to it" in "; ".join(against_routing(held_back))


def test_everyday_messages_stay_nobodys_although_it_is_for_some_that_are_like_them(judge):
    shopping = [f"{verb} {what} {where}" for verb, where in (("add", "to the shopping list"), ("put", "on my list"),
                ("remove", "from the list")) for what in ("milk", "eggs", "bread", "butter", "tea")]  # fmt: skip
    effect = learn(judge, shopping[::2], shopping[1::2]).effect
    assert effect.background <= EVERYDAY <= MOST_BACKGROUND
    assert effect.own > 0.5


def test_no_more_examples_are_kept_than_are_needed_and_each_once(judge):
    many = [f"Write in capitals: {number} {word}" for number in range(40) for word in ("river", "stone", "cloud")]
    examples = learn(judge, many * 2, CAPITALS).examples
    assert len(examples) == len({*examples}) == MOST_EXAMPLES


def test_one_that_is_trained_anew_takes_nothing_that_it_had_already(with_poems):
    effect = learn(RoutingJudge(with_poems, ["poems"]), POEMS[::2], POEMS[1::2], "poems").effect
    assert effect.taken == ()
    assert effect.own > 0.5


def test_one_that_the_router_was_trained_on_stays_with_the_router(with_poems):
    learnt = learn(RoutingJudge(with_poems, ["sql"]), SQL, SQL, "sql")
    assert learnt.detector is None
    assert learnt.effect.own > 0.9


def test_two_that_are_new_are_told_from_each_other(judge):
    whispers = [text.replace("in capitals", "in small letters") for text in CAPITALS]
    learnt = judge.learn({"new": CAPITALS[:12], "low": whispers[:12]}, {"new": CAPITALS[12:], "low": whispers[12:]})
    assert {name: one.effect.own for name, one in learnt.items()} == {"new": 1.0, "low": 1.0}


def test_no_examples_at_all_get_no_messages(judge):
    learnt = learn(judge, [], CAPITALS)
    assert (learnt.examples, learnt.detector) == ((), None)
    assert (learnt.effect.own, learnt.effect.taken) == (0.0, ())


def test_anchors_of_a_router_are_judged_as_messages_of_their_adapters_and_those_of_base_are_not(judge, shared_pack):
    effect = learn(judge, CAPITALS[:4], CAPITALS).effect
    examples = sum(len(open_pack(shared_pack).examples(name)) for name in open_pack(shared_pack).manifest.enabled)
    assert effect.judged > examples
    sql = learn(judge, SQL[:4], SQL).effect
    assert {owner for owner, _ in sql.taken} <= {"sql"}


def test_of_another_it_may_take_half_a_percent_to_the_nearest_whole_message():
    known = routing_effect._Known(np.zeros((488, 1), np.float32), ("a",) * 388 + ("b",) * 100, ("",) * 488)

    def too_many(*taken):
        chosen = np.zeros(488, bool)
        chosen[list(taken)] = True
        return known.too_many(chosen)

    assert too_many() == too_many(0, 1) == 0  # 0.5 % of 388 are 1.94
    assert too_many(0, 1, 2) == 1
    assert too_many(400) == 1
    assert too_many(0, 1, 2, 400, 401) == 3
