"""Several replies at once, each under its own mix: each is what it is alone."""

import numpy as np
import pytest

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.stepper import Stepper
from tests.support.at_once import ENDLESS, Asked, assert_alike, finish
from tests.support.engines import ask, first_logits, open_engine
from tests.support.near_ties import ROUNDING
from tests.support.prompts import PROMPTS

TASKS = sorted(PROMPTS)
HISTORY = (
    Message("user", "hello"),
    Message("assistant", "Hello! Ask me what I can do."),
    Message("user", "to ISO: 1 May 2020"),
    Message("assistant", "2020-05-01"),
)
SYSTEM = Message("system", "You are a helpful assistant. " * 6)


def conversations(count):
    """Messages of every task, alone and after a history, each under its task's adapter or with another one."""
    for index in range(count):
        task = TASKS[index % len(TASKS)]
        other = "sql" if task != "sql" else "dates"
        mix = Mix.of({task: 1.0}) if index % 3 else Mix.of({task: 0.75, other: 0.25})
        yield PROMPTS[task][index % len(PROMPTS[task])], mix, HISTORY[: 2 * (index % 3)]


@pytest.fixture(scope="module")
def alone(bundled):
    opened = open_engine(bundled, parallel=8)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["bank", "groups"])
def engine(bundled, request):
    opened = open_engine(bundled, parallel=8)
    assert opened._bank, "no batches of many mixes: is numba installed?"
    if request.param == "groups":
        opened._stepper._bank = None
    yield opened
    opened.close()


def test_replies_under_different_mixes_are_what_each_is_alone(engine, alone):
    asked = [Asked(engine, *question) for question in conversations(20)]
    finish(engine)
    for reply in asked:
        assert_alike(reply, alone)


def test_replies_under_one_mix_are_what_each_is_alone(engine, alone):
    mix = Mix.of({"dates": 1.0})
    asked = [Asked(engine, prompt, mix) for prompt in PROMPTS["dates"]]
    finish(engine)
    for reply in asked:
        assert_alike(reply, alone)


def test_after_replies_at_once_one_alone_is_that_of_a_cold_start_to_rounding(engine, bundled):
    asked = [Asked(engine, *question) for question in conversations(8)]
    finish(engine)
    assert all(reply.done.finish_reason == "stop" for reply in asked)
    cold = open_engine(bundled, parallel=8)
    mix, question = Mix.of({"extract": 0.5, "sql": 0.25}), "a table for two"
    after, fresh = (first_logits(opened, question, mix, HISTORY) for opened in (engine, cold))
    assert np.abs(after - fresh).max() < ROUNDING
    cold.close()


def test_one_of_many_is_cancelled_and_the_others_are_whole(engine, alone):
    asked = [Asked(engine, *question) for question in conversations(6)]
    endless = Asked(engine, "tell me something", sampling=ENDLESS)
    while len(endless.events) < 3:
        engine.step()
    endless.cancellation.request()
    finish(engine)
    assert endless.done.finish_reason == "cancelled"
    assert endless.done.answer_tokens < 400
    for reply in asked:
        assert_alike(reply, alone)


def test_a_reply_that_cannot_be_given_ends_with_its_own_error(engine, alone):
    asked = Asked(engine, "to ISO: 4 July 1999", Mix.of({"dates": 1.0}))
    unknown = Asked(engine, "hello", Mix.of({"poems": 1.0}))
    long = Asked(engine, "word " * 9000)
    finish(engine)
    assert asked.text == "1999-07-04"
    for reply, reason in ((unknown, "no adapter 'poems'"), (long, "too long")):
        assert isinstance(reply.running.error, InputError)
        assert reason in str(reply.running.error)


def test_each_draws_with_its_own_seed(engine, alone):
    sampled = Sampling(temperature=1, max_tokens=4)
    asked = [Asked(engine, "tell me", sampling=sampled.model_copy(update={"seed": n % 3})) for n in range(6)]
    finish(engine)
    texts = [reply.text for reply in asked]
    assert texts[:3] == texts[3:]
    assert len(set(texts[:3])) > 1


def test_an_adapter_is_taken_away_once_nobody_writes_under_it(bundled):
    engine = open_engine(bundled, parallel=4)
    asked = Asked(engine, "to ISO: 4 July 1999", Mix.of({"dates": 1.0}))
    engine.step()
    engine.remove_adapter("dates")
    assert asked.text == "1999-07-04"
    with pytest.raises(InputError, match="no adapter 'dates'"):
        ask(engine, "to ISO: 4 July 1999", Mix.of({"dates": 1.0}))
    engine.close()


def test_a_beginning_that_conversations_share_is_computed_once(bundled):
    engine = open_engine(bundled, parallel=4)
    computed = []
    decode = engine._backbone.decode
    engine._backbone.decode = lambda tokens, *rest: (computed.append(len(tokens)), decode(tokens, *rest))[1]
    short = Sampling(max_tokens=1)
    ask(engine, "hello", history=[SYSTEM], sampling=short)
    first = sum(computed)
    computed.clear()
    branch = (SYSTEM, *HISTORY[:2])
    for history in ([SYSTEM], branch, (*branch, Message("user", "a"), Message("assistant", "b")), branch):
        ask(engine, "hello", history=history, sampling=short)
    assert first > 40
    assert sum(computed) < 2 * first
    engine.close()


@pytest.mark.parametrize("mixes", [(None,), (Mix.of({"sql": 0.3}), Mix.of({"shell": 0.3}))], ids=["one", "two"])
def test_where_cells_run_out_what_began_last_waits_and_is_still_whole(bundled, monkeypatch, mixes):
    paused = []
    pause = Stepper._pause_youngest
    monkeypatch.setattr(Stepper, "_pause_youngest", lambda stepper: (paused.append(stepper), pause(stepper))[1])
    options = {"context": 128, "parallel": 8}
    engine, alone = (open_engine(bundled, **options) for _ in range(2))
    engine._stepper._bank = None  # each mix in batches of its own
    # 8 replies of 60 tokens and more share the cells of four contexts of 128.
    wild = [Sampling(temperature=1, top_k=1, min_p=0, repeat_penalty=1.3, max_tokens=60) for _ in range(8)]
    asked = [
        Asked(
            engine,
            "hello, what can you do? " * 2,
            mixes[n * len(mixes) // 8],
            [Message("system", f"{n} " * 20)],
            wild[n],
        )
        for n in range(8)
    ]
    finish(engine)
    assert paused
    for reply in asked:
        assert_alike(reply, alone)
    engine.close()
    alone.close()
