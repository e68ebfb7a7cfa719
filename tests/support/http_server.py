"""A real server on loopback, in a thread of the tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from dlp_local.assistant import Assistant
from dlp_local.core.settings import Settings
from dlp_local.server.serving import HttpServer, listen, url_of
from dlp_local.server.training_jobs import IN_PROCESS, Trainer

PATIENCE = 60.0

NEVER_ENDS = {str(token): -100 for token in range(5)}
"""Biases of the bundled backbone's tokens that end an answer: one that a test cuts must not end by itself before."""


class Slow:
    """A job whose events come one after another, with a pause before each."""

    def __init__(self, job, seconds):
        self._job, self._seconds = job, seconds
        self.cancel, self.close = job.cancel, job.close

    def __iter__(self):
        for event in self._job:
            time.sleep(self._seconds)
            yield event


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    port: int
    server: HttpServer

    @property
    def runner(self):
        return self.server.config.app.state.service.runner

    @contextlib.contextmanager
    def slowly(self, seconds: float = 0.05) -> Iterator[None]:
        """Whatever answers say comes piece by piece meanwhile: the bundled backbone fills its context in a second."""
        runner = self.runner
        at_once = runner.run
        runner.run = lambda client, jobs: at_once(client, [Slow(job, seconds) for job in jobs])
        try:
            yield
        finally:
            del runner.run

    def becomes_idle(self) -> bool:
        """Whether, in time, nothing is computed any more."""
        end = time.monotonic() + PATIENCE
        while self.runner.queue.running and time.monotonic() < end:
            time.sleep(0.01)
        return not self.runner.queue.running


@contextlib.contextmanager
def running_server(assistant: Assistant, trainer: Trainer = IN_PROCESS, **options: object) -> Iterator[Running]:
    """The assistant, served on a free port under these of the server's settings; `trainer` trains adapters."""
    settings = Settings(server={"port": 0, "shutdown_timeout": 10} | options)
    with listen(settings.server) as listening:
        server = HttpServer(assistant, settings, trainer=trainer)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        url, port = url_of(listening), listening.getsockname()[1]
        thread.start()
        try:
            yield Running(url, port, server)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server did not end"
