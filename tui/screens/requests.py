"""What the user asked for, done one after the other, off the window's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dlp_local.core.errors import DlpLocalError

Request = Callable[[], Awaitable[None]]


class Requests:
    """A queue of requests. What is struck keeps being drawn while one of them waits for a file, a lock or an answer."""

    def __init__(self, show_error: Callable[[DlpLocalError], None]) -> None:
        """`show_error` gets what a request raises for the user."""
        self._show_error = show_error
        self._queue: asyncio.Queue[Request] = asyncio.Queue()

    def add(self, request: Request) -> None:
        """Queues a request; it begins when the ones before it have ended."""
        self._queue.put_nowait(request)

    async def serve(self) -> None:
        """Does what is queued, for as long as the window is open."""
        while True:
            request = await self._queue.get()
            try:
                await request()
            except DlpLocalError as error:
                self._show_error(error)
            finally:
                self._queue.task_done()

    async def done(self) -> None:
        """Waits until nothing is left to do."""
        await self._queue.join()
