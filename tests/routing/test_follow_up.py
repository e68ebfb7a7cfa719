"""Whether a message decides alone where it goes, or follows the turn before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE
from dlp_local.routing import MessageRouter
from dlp_local.routing.follow_up import carry_over
from tests.support.prompts import PROMPTS

SHARES = st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any)
DISTRIBUTIONS = SHARES.map(lambda counts: {name: n / sum(counts) for name, n in zip("abcd", counts, strict=True)})
BOOKING = "I need a table for four on Friday at 8pm"


@pytest.fixture(scope="module")
def message_router(bundled):
    encoder, tokenizer = bundled / "encoder.onnx", bundled / "encoder_tokenizer.json"
    return MessageRouter(encoder, tokenizer, bundled / "router.onnx", threads=1, adapters=PROMPTS)


def test_a_follow_up_goes_on_with_the_turn_before_it(message_router):
    first = message_router.route("Which bands are from Spain?\ncolumns: band, country, year", Routing())
    alone = message_router.route("now only the bigger ones", Routing())
    after = message_router.route("now only the bigger ones", Routing(), first.probabilities)
    assert after.probabilities["sql"] >= max(0.5, alone.probabilities["sql"])


def test_a_message_of_another_task_is_not_dragged_along(message_router):
    first = message_router.route("I need a table for four on Friday at 8pm", Routing())
    for text, label in (("tar: extract an archive", "shell"), ("to ISO: 3 May 1999", "dates"), ("hello!", BASE)):
        route = message_router.route(text, Routing(), first.probabilities)
        assert max(route.probabilities, key=route.probabilities.get) == label


@pytest.mark.parametrize("previous", [None, {}, {"another pack's adapter": 1.0}, {"sql": 0.0}])
def test_a_turn_that_says_nothing_changes_nothing(message_router, previous):
    alone = message_router.route("and the next one?", Routing())
    assert message_router.route("and the next one?", Routing(), previous).probabilities == alone.probabilities


@given(DISTRIBUTIONS, DISTRIBUTIONS)
def test_what_is_carried_over_is_a_distribution_again(own, previous):
    both = carry_over(own, previous)
    assert sum(both.values()) == pytest.approx(1)
    assert all(both[name] == 0 for name in own if own[name] == 0)


@given(DISTRIBUTIONS, st.sampled_from("abcd"))
def test_a_turn_before_speaks_for_its_own_task(own, task):
    assert carry_over(own, {task: 1.0})[task] >= own[task] - 1e-12


@pytest.mark.parametrize(
    ("before", "text", "label"),
    [
        (BOOKING, "How many players are from Norway?\ncolumns: player, country, team", "sql"),
        (BOOKING, "how do I list all branches with git?", "shell"),
        ("tar: extract archive.tar.gz into /tmp", "to ISO: 3 May 1999", "dates"),
        ("tar: extract archive.tar.gz into /tmp", "tell me a joke", BASE),
    ],
)
def test_a_clear_message_has_the_weights_that_it_has_by_itself(message_router, before, text, label):
    first, alone = message_router.route(before, Routing()), message_router.route(text, Routing())
    after = message_router.route(text, Routing(), first.probabilities)
    assert after.probabilities == alone.probabilities
    assert after.mix == alone.mix
    assert max(after.probabilities, key=after.probabilities.get) == label


@pytest.mark.parametrize(
    ("before", "text", "label"),
    [
        ("tar: extract archive.tar.gz into /tmp", "and now to /home instead", "shell"),
        (BOOKING, "and the next one?", "extract"),
        ("to ISO: 3 May 1999", "and the next one?", "dates"),
    ],
)
def test_a_follow_up_that_names_no_task_follows(message_router, before, text, label):
    first = message_router.route(before, Routing())
    after = message_router.route(text, Routing(), first.probabilities)
    assert max(after.probabilities, key=after.probabilities.get) == label


@given(DISTRIBUTIONS, DISTRIBUTIONS)
def test_only_an_unclear_message_is_changed(own, previous):
    if max(own.values()) >= 0.5:
        assert carry_over(own, previous) == own
