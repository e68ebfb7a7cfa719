"""Requests of several threads begin together, in the order of their members, whichever thread was first."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.engine.gathering import Gathering

PATIENCE = 30


def run(requests, pauses=()):
    """What was begun at a time, where each member asks so many times, with a pause before each of its requests."""
    begun = []

    def begin(tasks):
        begun.append(list(tasks))
        return [("begun", *task) for task in tasks]

    gathering = Gathering(len(requests), begin)

    def live(number):
        with gathering.member(number):
            for turn in range(requests[number]):
                time.sleep(pauses[number] if number < len(pauses) else 0)
                assert gathering.is_of_this_thread
                assert gathering.begun((number, turn)) == ("begun", number, turn)
        assert not gathering.is_of_this_thread

    with ThreadPoolExecutor(max(1, len(requests))) as threads:
        for future in [threads.submit(live, number) for number in range(len(requests))]:
            future.result(timeout=PATIENCE)
    return begun


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=6), st.lists(st.floats(0, 0.003), max_size=6))
def test_in_each_round_all_who_ask_yet_begin_in_the_order_of_their_numbers(requests, pauses):
    rounds = range(max(requests, default=0))
    expected = [[(number, turn) for number, count in enumerate(requests) if count > turn] for turn in rounds]
    assert run(requests, pauses) == expected


def test_what_beginning_raises_is_raised_for_all_and_the_next_round_begins():
    failures = [ValueError("the engine is gone")]

    def begin(tasks):
        if failures:
            raise failures.pop()
        return list(tasks)

    gathering, raised = Gathering(2, begin), []

    def live(number):
        with gathering.member(number):
            try:
                gathering.begun(number)
            except ValueError as error:
                raised.append(str(error))
            assert gathering.begun(number) == number

    threads = [threading.Thread(target=live, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert raised == ["the engine is gone"] * 2


def test_a_member_that_fails_holds_nobody_up():
    def fail(gathering):
        with gathering.member(0):
            raise ValueError("no question")

    gathering = Gathering(2, list)
    with ThreadPoolExecutor(1) as other:

        def live():
            with gathering.member(1):
                return gathering.begun("asked")

        waiting = other.submit(live)
        with pytest.raises(ValueError, match="no question"):
            fail(gathering)
        assert waiting.result(timeout=PATIENCE) == "asked"
