import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE, WEIGHT_STEPS, Mix, Route

WEIGHTS = st.dictionaries(st.sampled_from([BASE, *"abcdefg"]), st.floats(0, 1), max_size=8).map(
    lambda weights: {name: weight / max(1, sum(weights.values())) for name, weight in weights.items()}
)


@given(WEIGHTS)
def test_a_mix_is_sorted_in_steps_and_sums_to_at_most_one(weights):
    mix = Mix.of(weights)
    names = [name for name, _ in mix.weights]
    assert names == sorted(names)
    assert BASE not in names
    assert all((weight * WEIGHT_STEPS).is_integer() and weight > 0 for _, weight in mix.weights)
    assert sum(weight for _, weight in mix.weights) <= 1


@given(WEIGHTS)
def test_a_weight_moves_by_less_than_one_step(weights):
    mix = dict(Mix.of(weights).weights)
    assert all(abs(mix.get(name, 0) - weight) <= 1 / WEIGHT_STEPS for name, weight in weights.items() if name != BASE)


@given(WEIGHTS)
def test_a_mix_as_a_dictionary_sums_to_one(weights):
    shares = Mix.of(weights).as_dict()
    assert sum(shares.values()) == 1
    assert all(share > 0 for share in shares.values())


@given(WEIGHTS)
def test_a_mix_made_of_a_mix_is_the_same_mix(weights):
    mix = Mix.of(weights)
    assert Mix.of(mix.as_dict()) == mix


@given(WEIGHTS)
def test_a_mix_that_is_written_out_is_read_back(weights):
    mix = Mix.of(weights)
    assert Mix.parse(",".join(f"{name}={weight}" for name, weight in mix.as_dict().items())) == mix


@given(st.dictionaries(st.sampled_from("abcdefg"), st.floats(0, 1), min_size=1), st.randoms())
def test_the_order_of_the_weights_does_not_matter(weights, rng):
    weights = {name: weight / max(1, sum(weights.values())) for name, weight in weights.items()}
    shuffled = list(weights.items())
    rng.shuffle(shuffled)
    assert Mix.of(dict(shuffled)) == Mix.of(weights)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("base", ()),
        ("sql", (("sql", 1.0),)),
        (" sql = 0.75 , shell=0.25", (("shell", 0.25), ("sql", 0.75))),
        ("sql=0.5,base=0.5", (("sql", 0.5),)),
    ],
)
def test_a_mix_is_read_as_people_write_it(text, weights):
    assert Mix.parse(text).weights == weights


@pytest.mark.parametrize("text", ["sql=0.01", "shell=0.5,sql=0.03", "sql=0.02,shell=0.02,base=0.5"])
def test_a_weight_that_is_too_small_to_count_is_refused_with_the_least_that_does(text):
    with pytest.raises(InputError, match=r"'sql' is 0.0.*least that counts is 1/32 "):
        Mix.parse(text)


@pytest.mark.parametrize("text", ["", ",", "sql=", "=1", "sql=much", "sql=0.5,sql=0.5", "sql=0.5,"])
def test_a_mix_that_cannot_be_read_says_how_to_write_it(text):
    with pytest.raises(InputError, match=r"sql=0\.7,shell=0\.3 or base"):
        Mix.parse(text)


@pytest.mark.parametrize("text", ["sql=-0.5", "sql=nan", "sql=inf"])
def test_a_weight_that_is_no_share_is_refused(text):
    with pytest.raises(InputError, match="give a number from 0 to 1"):
        Mix.parse(text)


@pytest.mark.parametrize("text", ["sql=2", "sql,shell", "sql=0.7,base=0.4"])
def test_weights_over_the_whole_are_refused(text):
    with pytest.raises(InputError, match="1 at most"):
        Mix.parse(text)


def test_a_mix_is_shown_by_weight():
    assert str(Mix.of({"shell": 0.25, "sql": 0.5})) == "sql 0.50 · shell 0.25 · base 0.25"


def test_the_probabilities_of_a_route_cannot_be_changed():
    given_ = {"sql": 1.0}
    route = Route("text", given_, Mix.of(given_), embed_ms=1.5, route_ms=0.5)
    given_["sql"] = 0.0
    assert route.probabilities == {"sql": 1.0}
    assert route.total_ms == 2.0
    with pytest.raises(TypeError):
        route.probabilities["sql"] = 0.0
