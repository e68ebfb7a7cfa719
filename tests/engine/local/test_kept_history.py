"""What stays in the cache from one message to the next, and what is computed ahead."""

import numpy as np
import pytest

from dlp_local.core.events import TextDelta
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from tests.support.engines import ask, first_logits, open_engine


def decoded(engine, run):
    """How many tokens each computation takes while `run` runs."""
    counts = []
    decode = engine._backbone.decode
    engine._backbone.decode = lambda tokens, *rest: (counts.append(len(tokens)), decode(tokens, *rest))[1]
    run()
    del engine._backbone.decode
    return counts


def test_after_an_answer_of_base_a_follow_up_computes_its_own_message_alone(bundled):
    engine = open_engine(bundled)
    answer, done = ask(engine, "hello, what can you do?")
    history = (Message("user", "hello, what can you do?"), Message("assistant", answer))
    end, message = decoded(engine, lambda: ask(engine, "hello", history=history, sampling=Sampling(max_tokens=1)))
    assert done.answer_tokens > 20
    assert end == 1  # what the template writes after the answer
    assert message == len(engine._prompts.prompt([*history, Message("user", "hello")]).turns[-1])
    engine.close()


@pytest.mark.parametrize("finish", ["cancelled", "length", "stop string"])
def test_an_answer_of_base_that_ended_early_is_kept_as_far_as_it_is_the_history(bundled, finish):
    engine = open_engine(bundled)
    message = Message("user", "hello, what can you do?")
    whole, _ = ask(engine, message.content)
    stop = (whole[30:38],) if finish == "stop string" else ()
    reply = engine.generate([message], Mix(), Sampling(max_tokens=160 if finish != "length" else 12, stop=stop))
    part = ""
    for event in reply:
        part += event.text if isinstance(event, TextDelta) else ""
        if finish == "cancelled" and len(part) > 20:
            reply.cancel()
    history = (message, Message("assistant", part))
    computed, _ = decoded(engine, lambda: ask(engine, "hello", history=history, sampling=Sampling(max_tokens=1)))
    assert computed < 6
    follow_up, _ = ask(engine, "hello", history=history)
    cold = open_engine(bundled)
    assert follow_up == ask(cold, "hello", history=history)[0]
    cold.close()
    engine.close()


def test_another_answer_to_the_same_message_does_not_see_the_first_one(bundled):
    engine = open_engine(bundled)
    mix = Mix.of({"dates": 1.0})
    cold = first_logits(engine, "to ISO: 4 July 1999", mix)
    ask(engine, "to ISO: 4 July 1999")
    assert np.array_equal(first_logits(engine, "to ISO: 4 July 1999", mix), cold)
    engine.close()


def test_without_reuse_a_follow_up_of_base_is_bit_for_bit_the_one_of_a_cold_start(bundled):
    engine, cold = (open_engine(bundled, reuse_base_answers=False) for _ in range(2))
    answer, _ = ask(engine, "hello, what can you do?")
    history = (Message("user", "hello, what can you do?"), Message("assistant", answer))
    assert np.array_equal(first_logits(engine, "hello", Mix(), history), first_logits(cold, "hello", Mix(), history))
    engine.close()
    cold.close()


def test_of_the_prompt_what_was_there_is_told(bundled):
    engine = open_engine(bundled)
    system = Message("system", "You are brief.")
    _, first = ask(engine, "hello", history=[system])
    _, second = ask(engine, "to ISO: 4 July 1999", Mix.of({"dates": 1.0}), [system])
    answer, third = ask(engine, "hello", history=[system])
    assert (first.cached_tokens, second.cached_tokens) == (0, third.cached_tokens)
    assert 0 < second.cached_tokens < second.prompt_tokens
    history = [system, Message("user", "hello"), Message("assistant", answer)]
    _, on = ask(engine, "hello", history=history)
    assert on.cached_tokens > third.prompt_tokens
    engine.close()


def test_where_conversations_begin_alike_each_follow_up_goes_on_from_its_own_answer(bundled):
    engine = open_engine(bundled, parallel=4)
    system = Message("system", "You are brief.")
    talks = []
    for text in ("hello, what can you do?", "who are you?", "thank you, that was all"):
        answer, _ = ask(engine, text, history=[system])
        talks.append((system, Message("user", text), Message("assistant", answer)))
    for talk in reversed(talks):
        _, done = ask(engine, "hello", history=talk)
        computed = done.prompt_tokens - done.cached_tokens
        last = engine._prompts.prompt([*talk, Message("user", "hello")]).turns[-1]
        assert computed == len(last) + 1  # and what the template writes after the answer
    engine.close()


def test_conversations_that_rest_are_kept_up_to_two_contexts_where_several_may_run(bundled):
    engine = open_engine(bundled, parallel=4, context=256)
    systems = [Message("system", f"You are assistant number {number}. " * 18) for number in range(6)]
    short = Sampling(temperature=0, max_tokens=1)

    def cached(system):
        return ask(engine, "hello", history=[system], sampling=short)[1].cached_tokens

    assert [cached(system) for system in systems[:3]] == [0, 0, 0]
    assert all(cached(system) > 100 for system in systems[:3])
    assert [cached(system) for system in systems[3:]] == [0, 0, 0]
    assert cached(systems[0]) == 0
    assert cached(systems[5]) > 100
    engine.close()


LONG_HISTORY = (Message("user", "repeat: " + "one two three " * 60), Message("assistant", "one two three " * 60))


def test_warming_tells_how_far_it_is(bundled):
    engine = open_engine(bundled, batch=64)
    progress = list(engine.warm(LONG_HISTORY, 16))
    assert [event.done for event in progress] == [*range(0, progress[-1].total, 64), progress[-1].total]
    assert list(engine.warm(LONG_HISTORY, 16)) == progress[-1:]
    engine.close()


def test_a_message_sent_while_a_history_is_read_waits_only_for_what_is_left_and_is_answered_as_from_a_cold_start(
    bundled,
):
    engine, cold = (open_engine(bundled, batch=64) for _ in range(2))
    warming = engine.warm(LONG_HISTORY, 16)
    while next(warming).done < 192:
        pass
    warming.cancel()
    total = list(cold.warm(LONG_HISTORY, 16))[-1].total
    mix = Mix.of({"dates": 1.0})
    seen = []
    computed = decoded(engine, lambda: seen.append(first_logits(engine, "to ISO: 4 July 1999", mix, LONG_HISTORY)))
    assert sum(count for count in computed if count > 1) < total - 192 + 60
    assert np.array_equal(seen[0], first_logits(cold, "to ISO: 4 July 1999", mix, LONG_HISTORY))
    engine.close()
    cold.close()


def test_before_the_first_message_the_system_prompt_is_computed(bundled):
    engine = open_engine(bundled)
    system = Message("system", "You are a helpful assistant. " * 8)
    done = engine.warm([system], 16).finish()
    assert done.done == done.total > 30
    computed = decoded(engine, lambda: ask(engine, "hello", history=[system], sampling=Sampling(max_tokens=1)))
    assert sum(computed) < 20
    engine.close()
