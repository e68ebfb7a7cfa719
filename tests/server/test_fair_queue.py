"""Slots are given in turns between clients, and the queue is bounded."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.server.errors import ApiError
from dlp_local.server.fair_queue import FairQueue


async def _served(clients, slots=1, most=100):
    """The order in which clients get the only slot, which each gives back at once."""
    queue, order = FairQueue(slots, most), []

    async def ask(client):
        try:
            await queue.acquire(client)
        except ApiError as error:
            order.append(error)
        else:
            order.append(client)
            queue.release(1.0)

    await queue.acquire("first")
    waiting = [asyncio.create_task(ask(client)) for client in clients]
    await asyncio.sleep(0)
    queue.release(1.0)
    await asyncio.gather(*waiting)
    assert queue.running == queue.waiting == 0
    return order


async def test_clients_take_turns_however_much_each_asks():
    assert await _served("aaaabbc") == list("abcabaa")


async def test_beyond_the_queue_the_greediest_client_is_refused_with_the_time_to_come_back():
    order = await _served("aaab", most=3)
    refused = [error for error in order if isinstance(error, ApiError)]
    assert [entry for entry in order if isinstance(entry, str)] == ["a", "b", "a"]
    assert [(error.status, error.code) for error in refused] == [(429, "queue_full")]
    assert int(refused[0].headers["Retry-After"]) >= 1
    same = await _served("aaaa", most=3)
    assert isinstance(same[0], ApiError)


async def test_who_gives_up_waiting_takes_no_slot():
    queue = FairQueue(1, 10)
    await queue.acquire("a")
    waiting = asyncio.create_task(queue.acquire("b"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert queue.waiting == 0
    queue.release(0.1)
    assert queue.running == 0


async def test_a_slot_that_comes_as_its_waiter_gives_up_goes_to_the_next():
    queue = FairQueue(1, 10)
    await queue.acquire("a")
    first, second = (asyncio.create_task(queue.acquire(client)) for client in "bc")
    await asyncio.sleep(0)
    queue.release(0.1)
    first.cancel()
    await second
    assert queue.running == 1
    assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_a_closed_queue_refuses_those_who_wait_and_those_who_come():
    queue = FairQueue(1, 10)
    await queue.acquire("a")
    waiting = asyncio.create_task(queue.acquire("b"))
    await asyncio.sleep(0)
    queue.close()
    for acquiring in (waiting, queue.acquire("c")):
        with pytest.raises(ApiError) as refused:
            await acquiring
        assert refused.value.status == 503


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ask", "end", "leave"])), max_size=40),
    st.integers(1, 3),
)
def test_slots_are_neither_lost_nor_given_twice(moves, slots):
    async def play():
        queue, tasks = FairQueue(slots, 6), []
        for client, move in moves:
            if move == "ask":
                tasks.append(asyncio.create_task(queue.acquire(client)))
            holders = [t for t in tasks if t.done() and not t.cancelled() and not t.exception()]
            if move == "end" and holders:
                tasks.remove(holders[0])
                queue.release(0.1)
            if move == "leave" and (others := [t for t in tasks if not t.done()]):
                others[0].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            holders = [t for t in tasks if t.done() and not t.cancelled() and not t.exception()]
            assert len(holders) == queue.running <= slots
            assert not queue.waiting or queue.running == slots
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())
