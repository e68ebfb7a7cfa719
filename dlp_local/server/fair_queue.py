"""Who computes next: a fixed number of slots, and a bounded queue that takes turns between clients."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque

from dlp_local.server.errors import ApiError

LONGEST_ADVICE = 60
"""Seconds after which a refused client is told to try again, at most."""

SHUTTING_DOWN = "the server is shutting down. Ask again when it is back."


class FairQueue:
    """Slots for answers, for one event loop.

    Who waits is served in turns: one of each client, in the order in which the clients came, each client's own in
    order. Where the queue is full, the newest one of the client with most waiting is refused with 429.
    """

    def __init__(self, slots: int, most_waiting: int) -> None:
        self._free, self._slots, self._most = slots, slots, most_waiting
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._seconds = 1.0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._slots - self._free

    async def acquire(self, client: str) -> None:
        """Waits for a slot, which `release` gives back; raises `ApiError` where the queue is full or closed."""
        if self._closed:
            raise ApiError(503, SHUTTING_DOWN, code="shutting_down")
        if self._free and not self._waiting:
            self._free -= 1
            return
        if self.waiting >= self._most:
            self._refuse_one(client)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._hand_on()  # its slot came in the same moment
            else:
                self._drop(client, turn)
            raise

    def _refuse_one(self, newcomer: str) -> None:
        """Makes room for a newcomer where another client has more waiting than it; else raises."""
        most = max(self._waiting, key=lambda client: len(self._waiting[client]))
        own = len(self._waiting.get(newcomer, ()))
        if len(self._waiting[most]) <= own + 1:
            raise self._full()
        refused = self._waiting[most][-1]
        self._drop(most, refused)
        if not refused.done():
            refused.set_exception(self._full())

    def _full(self) -> ApiError:
        seconds = min(LONGEST_ADVICE, math.ceil(self._seconds * self.waiting / self._slots))
        return ApiError(
            429,
            f"{self.waiting} answers are waiting already. Ask again in {seconds} s.",
            code="queue_full",
            headers={"Retry-After": str(seconds)},
        )

    def _drop(self, client: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(client)
        if turns and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[client]

    def release(self, seconds: float) -> None:
        """Gives a slot back that was taken for some seconds."""
        self._seconds += 0.1 * (seconds - self._seconds)
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            client, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Refuses everyone who waits or comes from now on; what runs goes on."""
        self._closed = True
        for turns in self._waiting.values():
            for turn in turns:
                if not turn.done():
                    turn.set_exception(ApiError(503, SHUTTING_DOWN, code="shutting_down"))
        self._waiting.clear()
