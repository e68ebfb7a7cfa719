"""Policies: which mix each gives a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE, Mix
from dlp_local.evaluation.policies import DEFAULT, KINDS, parse_policies, parse_policy
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.shots import Shots
from dlp_local.routing.selection import select

ADAPTERS = ("dates", "shell", "sql")
ROUTING = Routing()
ROW = EvalRow("x", ("y",), "exact", "sql")
SPREAD = {"sql": 0.6, "shell": 0.25, BASE: 0.1, "dates": 0.05}


def mixes(name, probabilities=SPREAD, row=ROW, routing=ROUTING):
    return [str(mix) for mix in parse_policy(name, ADAPTERS, routing).mixes(row, probabilities)]


@pytest.mark.parametrize(
    ("name", "mix"),
    [
        ("base", "base 1.00"),
        ("single:dates", "dates 1.00"),
        ("oracle", "sql 1.00"),
        ("top1", "sql 1.00"),
        ("top-p", "sql 0.62 · shell 0.25 · base 0.12"),
        ("top-p:0.6", "sql 1.00"),
        ("top-p:0.8", "sql 0.72 · shell 0.28"),
        ("top-p:0.8:softmax", "sql 0.59 · shell 0.41"),
        ("top-p:softmax:0.8", "sql 0.59 · shell 0.41"),
        ("top-p:softmax", "sql 0.44 · shell 0.31 · base 0.25"),
        ("uniform", "base 0.34 · shell 0.33 · sql 0.33"),
        ("held-out", "shell 0.62 · base 0.25 · dates 0.12"),
        ("all", "dates 0.34 · shell 0.33 · sql 0.33"),
        ("few-shot:4", "base 1.00"),
    ],
)
def test_a_policy_gives_its_mix(name, mix):
    (given_,) = parse_policy(name, ADAPTERS, ROUTING).mixes(ROW, SPREAD)
    wanted = {part.split()[0]: float(part.split()[1]) for part in mix.split(" · ")}
    assert given_.as_dict() == pytest.approx(wanted, abs=1 / 32)
    assert set(given_.as_dict()) == set(wanted) | ({BASE} if given_.base else set())


def test_an_adapter_that_is_switched_off_is_told_as_that():
    with pytest.raises(InputError, match=r"'cron' is switched off\. Switch it on: dlp-local adapters enable cron\."):
        parse_policies("base,single:cron", ADAPTERS, ROUTING, ("cron",))


def test_the_best_of_all_adapters_is_asked_of_each():
    assert mixes("per-query-oracle") == ["dates 1.00", "shell 1.00", "sql 1.00"]


def test_a_row_of_nobody_has_the_bare_backbone_from_the_oracle():
    assert mixes("oracle", row=EvalRow("x", ("y",), "exact", BASE)) == ["base 1.00"]


def test_where_only_its_own_adapter_fits_a_row_has_the_bare_backbone_without_it():
    assert mixes("held-out", {"sql": 1.0}) == ["base 1.00"]


probabilities = st.dictionaries(st.sampled_from([*ADAPTERS, BASE]), st.floats(0.01, 1), min_size=1).map(
    lambda found: {name: p / sum(found.values()) for name, p in found.items()}
)


@given(probabilities, st.floats(0.05, 1))
def test_every_routed_mix_is_one_that_the_product_could_make(found, p):
    for name in ("top1", "top-p", "uniform", "held-out", "all", "merged", "parts", f"top-p:{p}", f"top-p:{p}:softmax"):
        (mix,) = parse_policy(name, ADAPTERS, ROUTING).mixes(ROW, found)
        assert mix == Mix.of(dict(mix.weights))
        assert set(dict(mix.weights)) <= set(ADAPTERS)
    assert mixes("top-p", found) == [str(select(found, ROUTING))]
    assert mixes("top-p", found) == mixes(f"top-p:{ROUTING.top_p}:{ROUTING.normalize}", found)
    assert mixes("all", found) == mixes("merged", found)
    best = max(found.values())
    (first,) = parse_policy("top1", ADAPTERS, ROUTING).mixes(ROW, found)
    assert [found[name] for name in first.as_dict()] == [best]


def test_settings_hold_where_a_policy_does_not_say():
    assert mixes("top-p", routing=Routing(top_p=0.5)) == ["sql 1.00"]
    assert mixes("top-p:1.0", routing=Routing(max_adapters=1)) == ["sql 1.00"]


def test_policies_are_taken_in_order_and_each_once():
    names = [policy.name for policy in parse_policies(" base, top1,base,top-p:0.7 ", ADAPTERS, ROUTING)]
    assert names == ["base", "top1", "top-p:0.7"]


def test_every_kind_that_the_help_names_is_one():
    for kind in KINDS:
        name = {"single:NAME": "single:sql", "few-shot:K": "few-shot:3"}.get(kind, kind)
        assert parse_policy(name, ADAPTERS, ROUTING).name == name
    assert [policy.name for policy in parse_policies(",".join(DEFAULT), ADAPTERS, ROUTING)] == list(DEFAULT)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("top2", "there is no policy 'top2'. Did you mean 'top-p' or 'top1'? There are base, single:NAME, oracle"),
        ("", "names none"),
        ("base:", "policy 'base:': nothing stands behind the colon. There are base, single:NAME"),
        ("top-p:", "nothing stands behind the colon"),
        ("single:", "nothing stands behind the colon"),
        ("top2:", "there is no policy 'top2:'"),
        ("base:1", "base takes nothing behind a colon"),
        ("single:sqll", "there is no adapter 'sqll'. Did you mean 'sql' or 'shell'? There are dates, shell, sql."),
        ("single", "there is no adapter ''"),
        ("top-p:2", "'2' cannot stand there"),
        ("top-p:0", "'0' cannot stand there"),
        ("top-p:nan", "'nan' cannot stand there"),
        ("top-p:0.5:hard", "'hard' cannot stand there"),
        ("top-p:0.5:0.6", "'0.6' cannot stand there"),
        ("few-shot", "few-shot:5"),
        ("few-shot:0", "few-shot:5"),
    ],
)
def test_a_policy_that_there_is_not_is_refused_with_those_there_are(name, told):
    with pytest.raises(InputError) as refused:
        parse_policies(name, ADAPTERS, ROUTING)
    assert told in str(refused.value)


def test_more_adapters_than_a_mix_has_cannot_all_be_mixed():
    many = [f"a{number}" for number in range(33)]
    with pytest.raises(InputError, match="33 adapters"):
        parse_policy("all", many, ROUTING)
    with pytest.raises(InputError, match="no adapter"):
        parse_policy("per-query-oracle", (), ROUTING)


SHOTS = Shots(
    [EvalRow(f"{task} {n}", (f"answer {n}", "another"), "exact", task) for task in ADAPTERS for n in range(9)]
)


@given(st.sampled_from(ADAPTERS), st.integers(0, 8), st.integers(1, 8), st.integers(0, 5))
def test_shots_are_of_the_rows_task_and_never_the_row_itself(task, number, count, seed):
    row = EvalRow(f"{task} {number}", ("?",), "exact", task)
    messages = SHOTS.before(row, count, seed)
    assert [message.role for message in messages] == ["user", "assistant"] * count
    asked = [message.content for message in messages[::2]]
    assert row.text not in asked
    assert len(set(asked)) == count
    assert all(text.startswith(task) for text in asked)
    assert [message.content for message in messages[1::2]] == [f"answer {text.split()[1]}" for text in asked]
    assert SHOTS.before(row, count, seed) == messages
    assert len({SHOTS.before(row, 4, other) for other in range(6)}) > 1


def test_rows_that_are_no_shots_have_the_same_ones_before_them():
    rows = [EvalRow(f"other {number}", ("?",), "exact", "sql") for number in range(5)]
    assert len({SHOTS.before(row, 5, 0) for row in rows}) == 1


def test_too_few_shots_are_told():
    with pytest.raises(InputError, match="9 rows of 'sql' must stand before one, and the shots have 8 others"):
        SHOTS.before(EvalRow("sql 3", ("?",), "exact", "sql"), 9, 0)
