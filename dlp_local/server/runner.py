"""Jobs, which block, as asynchronous events: each runs in a thread of its own while it has a slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from dlp_local.core.events import Event
from dlp_local.core.job import Job
from dlp_local.server.errors import ApiError
from dlp_local.server.fair_queue import FairQueue
from dlp_local.server.idle import IdleWork

PING_SECONDS = 15.0
"""So often a client that streams hears something, so that no proxy between takes the connection for dead."""

Result = TypeVar("Result")


class Ping:
    """Nothing new yet."""


class End:
    """Everything has come."""


PING, END = Ping(), End()
Item = tuple[int, Event] | Ping


class JobRunner:
    """Runs as many jobs at once as the engine computes, for one event loop; the others wait in a fair queue."""

    def __init__(self, slots: int, most_waiting: int, timeout: float) -> None:
        """`timeout`: seconds after which a job is cancelled."""
        self.queue = FairQueue(slots, most_waiting)
        self.idle = IdleWork()
        self._timeout = timeout
        self._jobs: set[Job[Event]] = set()
        self._threads = ThreadPoolExecutor(slots, "answer")
        self._short = ThreadPoolExecutor(2, "routing")

    async def call(self, function: Callable[[], Result]) -> Result:
        """What a function gives that takes milliseconds and blocks: a route, an embedding."""
        return await asyncio.get_running_loop().run_in_executor(self._short, function)

    @asynccontextmanager
    async def run(self, client: str, jobs: Sequence[Job[Event]]) -> AsyncIterator[AsyncIterator[Item]]:
        """The events of a request's jobs as they come, each with its job's place; errors are raised where they come.

        A job takes its slot until it has ended, however fast its events are read. At the end of the block all are
        cancelled. `PING` comes in between.
        """
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Item | End | BaseException] = asyncio.Queue()
        pings = loop.create_task(_send_pings(items))
        running = [
            loop.create_task(self._run(client, job, index, items), name="answer") for index, job in enumerate(jobs)
        ]
        try:
            async with aclosing(_until_end(items, len(jobs))) as events:
                yield events
        finally:
            pings.cancel()
            for task, job in zip(running, jobs, strict=True):
                job.cancel()
                task.cancel()
            await asyncio.gather(pings, *running, return_exceptions=True)

    async def _run(
        self, client: str, job: Job[Event], index: int, items: asyncio.Queue[Item | End | BaseException]
    ) -> None:
        try:
            await self.queue.acquire(client)
        except ApiError as error:
            items.put_nowait(error)
            return
        self.idle.stop()
        loop = asyncio.get_running_loop()
        started = time.monotonic()

        def put(item: Item | End | BaseException) -> None:
            loop.call_soon_threadsafe(items.put_nowait, item)

        def read() -> None:
            try:
                for event in job:
                    put((index, event))
            except BaseException as error:
                put(error)
            else:
                put(END)
            finally:
                job.close()

        deadline = loop.call_later(self._timeout, job.cancel)
        self._jobs.add(job)

        def ended(_: object) -> None:
            deadline.cancel()
            self._jobs.discard(job)
            self.queue.release(time.monotonic() - started)
            if not self.queue.running:
                self.idle.start()

        reading = loop.run_in_executor(self._threads, read)
        reading.add_done_callback(ended)

    def close(self) -> None:
        """Takes nothing new and refuses what waits; what runs goes on."""
        self.queue.close()

    def cancel(self) -> None:
        """Ends everything that runs; each gives what it has by then."""
        self.idle.stop()
        for job in list(self._jobs):
            job.cancel()

    def shut_down(self) -> None:
        """Lets the threads go; those of jobs that were cancelled end with them."""
        self.idle.shut_down()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._short.shutdown(wait=False, cancel_futures=True)


async def _send_pings(items: asyncio.Queue[Item | End | BaseException]) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        items.put_nowait(PING)


async def _until_end(items: asyncio.Queue[Item | End | BaseException], jobs: int) -> AsyncGenerator[Item, None]:
    while jobs:
        match item := await items.get():
            case End():
                jobs -= 1
            case BaseException():
                raise item
            case _:
                yield item
