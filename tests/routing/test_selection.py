import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE, WEIGHT_STEPS
from dlp_local.routing import select
from dlp_local.routing.selection import head, proportional, softmax

NAMES = st.sampled_from([BASE, *"abcdefghij"])
COUNTS = st.dictionaries(NAMES, st.integers(0, 1000), min_size=1).filter(lambda counts: any(counts.values()))
PROBABILITIES = COUNTS.map(lambda counts: {name: n / sum(counts.values()) for name, n in counts.items()})
OPTIONS = st.builds(
    Routing,
    top_p=st.floats(0.01, 1),
    max_adapters=st.integers(1, 12),
    normalize=st.sampled_from(["proportional", "softmax"]),
)


@given(PROBABILITIES, OPTIONS)
def test_weights_are_multiples_of_a_step_and_sum_to_at_most_one(probabilities, options):
    mix = select(probabilities, options)
    assert sum(weight for _, weight in mix.weights) <= 1
    assert all(weight * WEIGHT_STEPS == int(weight * WEIGHT_STEPS) > 0 for _, weight in mix.weights)
    assert len(mix.weights) <= options.max_adapters


@given(PROBABILITIES, OPTIONS)
def test_at_least_the_most_probable_entry_is_kept(probabilities, options):
    kept = head(probabilities, options.top_p, options.max_adapters)
    best = max(probabilities.values())
    assert max(kept.values()) == best
    mix = select(probabilities, options)
    best_names = {name for name, p in probabilities.items() if p == best}
    assert best_names & set(mix.as_dict())


@given(PROBABILITIES, OPTIONS)
def test_a_more_probable_adapter_never_weighs_less(probabilities, options):
    weights = select(probabilities, options).as_dict()
    adapters = [name for name in probabilities if name != BASE]
    for more in adapters:
        for less in adapters:
            if probabilities[more] > probabilities[less]:
                assert weights.get(more, 0) >= weights.get(less, 0)


@given(PROBABILITIES, OPTIONS, st.randoms())
def test_the_order_of_the_entries_does_not_matter(probabilities, options, rng):
    shuffled = list(probabilities.items())
    rng.shuffle(shuffled)
    assert select(dict(shuffled), options) == select(probabilities, options)


@given(PROBABILITIES, st.integers(1, 12))
def test_a_top_p_of_one_keeps_every_possible_entry_up_to_the_limit(probabilities, longest):
    kept = head(probabilities, 1, longest)
    assert len(kept) == min(longest, sum(p > 1e-6 for p in probabilities.values()))


@given(PROBABILITIES, st.floats(0.01, 1))
def test_the_head_is_the_smallest_that_reaches_top_p(probabilities, top_p):
    *others, _last = head(probabilities, top_p, len(probabilities)).values()
    assert sum(others) < top_p
    assert sum(head(probabilities, top_p, len(probabilities)).values()) >= top_p - 1e-6


@given(PROBABILITIES)
def test_a_lower_top_p_never_keeps_more(probabilities):
    sizes = [len(head(probabilities, top_p, 12)) for top_p in (0.1, 0.5, 0.9, 1)]
    assert sizes == sorted(sizes)


def test_softmax_is_over_the_probabilities_as_in_the_papers_code():
    weights = softmax({"sql": 0.55, "shell": 0.10})
    assert weights == pytest.approx({"sql": 0.61, "shell": 0.39}, abs=0.005)
    mix = select({"sql": 0.55, "shell": 0.10}, Routing(normalize="softmax"))
    assert mix.weights == (("shell", 12 / 32), ("sql", 20 / 32))


def test_proportional_weights_are_shares_of_what_was_kept():
    assert proportional({"sql": 0.6, "shell": 0.2}) == pytest.approx({"sql": 0.75, "shell": 0.25})
    mix = select({"sql": 0.6, "shell": 0.2, "dates": 0.1, "extract": 0.1}, Routing(top_p=0.8))
    assert mix.weights == (("shell", 0.25), ("sql", 0.75))


def test_what_base_keeps_is_weight_that_no_adapter_gets():
    mix = select({BASE: 0.5, "sql": 0.5}, Routing())
    assert mix.weights == (("sql", 0.5),)
    assert mix.base == 0.5
    assert select({BASE: 0.95, "sql": 0.05}, Routing()).weights == ()


def test_a_share_under_one_step_is_dropped():
    assert select({"sql": 0.97, "shell": 0.03}, Routing(top_p=1)).weights == (("sql", 31 / 32),)


def test_equal_probabilities_are_kept_by_name():
    assert set(head({"c": 0.25, "b": 0.25, "a": 0.25, BASE: 0.25}, 1, 2)) == {"a", "b"}


@pytest.mark.parametrize("probabilities", [{}, {"sql": float("nan")}, {"sql": -0.1, "shell": 1.0}, {"sql": 1.5}])
def test_what_is_not_a_probability_is_refused(probabilities):
    with pytest.raises(InputError, match="from 0 to 1"):
        select(probabilities, Routing())
