"""Work for the time in which no answer is computed: preparing for the next messages of the last conversations."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dlp_local.core.events import PromptProgress
from dlp_local.core.job import Job

MOST = 16
"""Conversations that are prepared for, the last ones."""


class IdleWork:
    """Jobs that run one after the other, the newest first, until an answer is asked for; for one event loop."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], Job[PromptProgress]]] = deque(maxlen=MOST)
        self._running: Job[PromptProgress] | None = None
        self._may_run = False
        self._thread = ThreadPoolExecutor(1, "idle")

    def add(self, make_job: Callable[[], Job[PromptProgress]]) -> None:
        """One more job; may be called from any thread."""
        self._jobs.append(make_job)

    def start(self) -> None:
        """Nothing else is to be done now."""
        self._may_run = True
        if self._running is None and self._jobs:
            self._running = self._jobs.pop()()
            running = asyncio.get_running_loop().run_in_executor(self._thread, self._running.finish)
            running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Future[PromptProgress | None]) -> None:
        if not running.cancelled():
            running.exception()  # whatever is wrong with the engine, the next answer says it
        self._running = None
        if self._may_run:
            self.start()

    def stop(self) -> None:
        """Something else is to be done: what runs is cancelled, and keeps what it has computed."""
        self._may_run = False
        if self._running:
            self._running.cancel()

    def shut_down(self) -> None:
        """Lets the thread go."""
        self.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
