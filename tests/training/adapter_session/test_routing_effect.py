"""What a new adapter's examples change in a pack's routing, found before it is there."""

import pytest

from dlp_local.core.values import AdapterChange
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter
from dlp_local.training.adapter import routing_effect
from dlp_local.training.adapter.acceptance import MOST_BACKGROUND
from dlp_local.training.adapter.routing_effect import MOST_EXAMPLES, RoutingJudge

pytestmark = pytest.mark.usefixtures("in_shared_data")

POEMS = [f"Write a {mood} poem about {thing}" for mood in ("sad", "short", "cheerful") for thing in
         ("the sea", "autumn", "a lost key", "my grandmother", "the moon")]  # fmt: skip
SQL = ["Table sales (region, total). Which region has the highest total?", "columns: name, age | how many are over 30"]


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


CAPITALS = [f"Write in capitals: {word}" for word in ("river", "stone", "cloud", "garden", "window", "pencil")]


def test_an_adapter_of_its_own_kind_gets_its_messages_and_takes_none(judge):
    effect = judge.effects({"new": CAPITALS[:4]}, {"new": CAPITALS[4:]})["new"]
    assert (effect.own, effect.taken, effect.background) == (1.0, (), 0.0)
    assert effect.judged > 50


def test_messages_that_it_would_take_from_another_are_told_with_their_owner(judge):
    effect = judge.effects({"new": POEMS}, {"new": POEMS[:3]})["new"]
    assert effect.taken
    assert {owner for owner, _ in effect.taken} == {"poems"}
    assert {text for _, text in effect.taken} <= {*POEMS}


def test_examples_that_draw_the_messages_of_others_are_left_out(judge):
    every = [*CAPITALS, *POEMS]
    chosen = judge.examples({"new": every})["new"]
    assert {*chosen} < {*every}
    taken, left = (judge.effects({"new": texts}, {"new": CAPITALS})["new"].taken for texts in (every, chosen))
    assert taken
    assert len(left) < len(taken)


def test_examples_are_left_out_that_come_near_to_the_anchors_of_another_although_they_take_none(judge, monkeypatch):
    prompts = [*CAPITALS, "Write in capitals: sales by region", "Write in capitals: name, age and country"]
    monkeypatch.setattr(routing_effect, "LOST", 1.0)
    careless = judge.examples({"new": prompts})["new"]
    assert judge.effects({"new": careless}, {"new": CAPITALS})["new"].taken == ()
    monkeypatch.setattr(routing_effect, "LOST", 0.0)
    monkeypatch.setattr(routing_effect, "NEARLY", 1e-3)
    assert {*judge.examples({"new": prompts})["new"]} < {*careless}


def test_a_few_everyday_messages_that_come_along_cost_no_examples(judge, monkeypatch):
    shopping = [
        "add milk to the shopping list", "put eggs on my list", "add bread to the list", "what is on my shopping list",
        "remove butter from the list",
    ]  # fmt: skip
    chosen = judge.examples({"new": shopping})
    assert {*chosen["new"]} == {*shopping}
    assert judge.effects(chosen, {"new": shopping})["new"].background <= MOST_BACKGROUND
    monkeypatch.setattr(routing_effect, "EVERYDAY", 0.0)
    assert len(judge.examples({"new": shopping})["new"]) < len(shopping)


def test_examples_stay_where_hardly_any_of_its_messages_would_come_without_them(judge, monkeypatch):
    every = [CAPITALS[0], *POEMS]
    assert {*judge.examples({"new": every})["new"]} == {*every}
    assert judge.effects({"new": every}, {"new": POEMS})["new"].taken
    monkeypatch.setattr(routing_effect, "LEAST_OWN", 0.0)
    assert {*judge.examples({"new": every})["new"]} < {*every}


def test_no_more_examples_are_kept_than_are_needed_and_each_once(judge):
    many = [f"Write in capitals: {number} {word}" for number in range(40) for word in ("river", "stone", "cloud")]
    chosen = judge.examples({"new": many * 2})["new"]
    assert len(chosen) == len({*chosen}) <= MOST_EXAMPLES


def test_one_that_is_trained_anew_takes_nothing_that_it_had_already(with_poems):
    judge = RoutingJudge(with_poems, ["poems"])
    effect = judge.effects({"poems": POEMS[::2]}, {"poems": POEMS[1::2]})["poems"]
    assert effect.taken == ()
    assert effect.own > 0.5


def test_no_examples_at_all_get_no_messages(judge):
    assert judge.examples({"new": []}) == {"new": []}
    effect = judge.effects({"new": []}, {"new": CAPITALS})["new"]
    assert (effect.own, effect.taken) == (0.0, ())


def test_anchors_of_a_router_are_judged_as_messages_of_their_adapters_and_those_of_base_are_not(judge, shared_pack):
    effect = judge.effects({"new": CAPITALS}, {"new": CAPITALS})["new"]
    examples = sum(len(open_pack(shared_pack).examples(name)) for name in open_pack(shared_pack).manifest.enabled)
    assert effect.judged > examples
    sql = judge.effects({"new": SQL}, {"new": SQL})["new"]
    assert {owner for owner, _ in sql.taken} <= {"sql"}
