"""Prompts that are read beside each other: whose turn it is, and what they share."""

import pytest

from dlp_local.core.job import Cancellation
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.stepper import SHORTEST_FIRST
from dlp_local.engine.local.work import Piece, Wait
from tests.support.at_once import Asked, assert_alike, finish
from tests.support.engines import open_engine

BATCH = 32
SHORT = "to ISO: 4 July 1999"
DATES = Mix.of({"dates": 1.0})
SYSTEM = Message("system", "You are a helpful assistant. " * 12)
FEW = Sampling(temperature=0, max_tokens=4)


def long_text(words):
    return "repeat: " + "one two three " * words


@pytest.fixture(scope="module")
def engine(bundled):
    opened = open_engine(bundled, parallel=8, batch=BATCH)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def alone(bundled):
    opened = open_engine(bundled, parallel=8, batch=BATCH)
    yield opened
    opened.close()


def reads(asked):
    return isinstance(asked.running.work, Piece)


def test_a_short_message_does_not_wait_for_a_long_one_that_came_before(engine, alone):
    long = Asked(engine, long_text(120), sampling=FEW)
    for _ in range(2):
        engine.step()
    assert reads(long)
    assert long.running.work.left > 6 * BATCH
    short = Asked(engine, SHORT, DATES)
    while not short.events:
        engine.step()
    assert not long.events
    assert reads(long)
    finish(engine)
    for asked in (short, long):
        assert_alike(asked, alone)


def test_a_long_message_is_read_although_short_ones_keep_coming(engine):
    long = Asked(engine, long_text(60), sampling=FEW)
    engine.step()
    pieces = -(-long.running.work.left // BATCH)
    short = [Asked(engine, SHORT, sampling=FEW) for _ in range(3)]
    steps = 0
    while not long.events:
        short = [asked if not asked.running.ended else Asked(engine, SHORT, sampling=FEW) for asked in short]
        engine.step()
        steps += 1
        assert steps < 4 * pieces * (SHORTEST_FIRST + 1)
    finish(engine)


def test_conversations_that_begin_alike_and_come_at_once_read_their_beginning_once(engine, alone):
    read = []
    decode = engine._backbone.decode
    engine._backbone.decode = lambda tokens, *rest: (read.append(len(tokens)), decode(tokens, *rest))[1]
    asked = [Asked(engine, f"{SHORT} {n}", DATES, [SYSTEM], FEW) for n in range(4)]
    engine.step()
    assert [type(one.running.work) for one in asked] == [Piece, Wait, Wait, Wait]
    finish(engine)
    del engine._backbone.decode
    system = asked[0].done.prompt_tokens
    assert sum(read) < 2 * system
    for one in asked:
        assert_alike(one, alone)


@pytest.mark.parametrize("which", [0, 1])
def test_where_one_of_them_is_cancelled_the_others_go_on(engine, alone, which):
    system = Message("system", f"You are number {which}. " * 20)
    asked = [Asked(engine, SHORT, DATES, [system], FEW) for _ in range(3)]
    engine.step()
    asked[which].cancellation.request()
    finish(engine)
    assert asked[which].done.finish_reason == "cancelled"
    for one in (*asked[:which], *asked[which + 1 :]):
        assert_alike(one, alone)


def test_what_is_being_read_is_not_warmed_up_beside_it(engine):
    history = [Message("user", long_text(30)), Message("assistant", "yes")]
    asked = Asked(engine, SHORT, DATES, history, FEW)
    engine.step()
    warming = engine.start_warming(history, 16, Cancellation(), lambda _: None)
    engine.step()
    assert warming.ended
    assert not asked.running.ended
    finish(engine)
