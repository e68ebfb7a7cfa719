"""The process's side: an engine that answers requests from a pipe until the pipe ends.

`subprocess.py` starts it as `python -c "from dlp_local.engine.local.process.server import main; main()"`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.core.job import Cancellation
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.engine.local.huge_pages import only_small_pages
from dlp_local.engine.local.inspection import inspect_backbone
from dlp_local.engine.local.process.protocol import (
    START,
    AddAdapter,
    Cancel,
    Failed,
    Finished,
    Generate,
    Heartbeat,
    Inspect,
    Inspected,
    Open,
    Opened,
    RemoveAdapter,
    Request,
    RequestEvent,
    Response,
    Task,
    TaskEvent,
    Warm,
    encode,
    receive,
)
from dlp_local.engine.text import join_deltas

STACK = 1 << 30
"""Bytes of address space for the calls of the thread that computes; memory is taken as it is used."""

HEARTBEAT = 1.0
"""Seconds between two signs of life."""

STDIN, STDOUT, STDERR = 0, 1, 2
"""The descriptors themselves: what ran before may have replaced `sys.stdout`."""

OOM_SCORE = "500"
"""Linux: where memory runs out, this process goes before the window's."""


class _Server:
    def __init__(self, requests: BinaryIO, responses: BinaryIO) -> None:
        self._requests, self._responses = requests, responses
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._cancellations: dict[int, Cancellation] = {}
        """One for each request that waits or runs."""

        self._engine: LocalEngine | None = None
        self._writing = threading.Lock()

    def run(self) -> None:
        """Answers requests for as long as the client is there; never returns."""
        threading.stack_size(0)
        self._write(START)
        for work in (self._read_requests, self._send_heartbeats):
            threading.Thread(target=work, daemon=True).start()
        while True:
            self._answer(self._waiting.get())

    def _send(self, response: Response) -> None:
        self._write(encode(response))

    def _write(self, frame: bytes) -> None:
        try:
            with self._writing:
                self._responses.write(frame)
                self._responses.flush()
        except (OSError, ValueError):
            os._exit(0)  # nobody listens any more

    def _send_heartbeats(self) -> None:
        while True:
            self._send(Heartbeat())
            time.sleep(HEARTBEAT)

    def _read_requests(self) -> None:
        try:
            while isinstance(request := receive(self._requests), Request):
                if not isinstance(request.task, Cancel):
                    self._cancellations[request.number] = Cancellation()
                    self._waiting.put(request)
                elif cancellation := self._cancellations.get(request.number):
                    cancellation.request()
        finally:
            # The client closed the pipe, is gone or sends what is no request: nothing here is worth another moment.
            os._exit(0)

    def _answer(self, request: Request) -> None:
        try:
            for event in self._events(request.task, self._cancellations[request.number]):
                self._send(RequestEvent(request.number, event))
            self._send(Finished(request.number))
        except DlpLocalError as error:
            self._send(Failed(request.number, type(error).__name__, str(error)))
        except Exception as error:
            reason = f"something unexpected happened in the engine ({type(error).__name__}: {error}). Ask again."
            self._send(Failed(request.number, EngineError.__name__, reason))
        finally:
            del self._cancellations[request.number]

    def _events(self, task: Task, cancellation: Cancellation) -> Iterator[TaskEvent]:
        if isinstance(task, Open):
            self._engine = LocalEngine(task.backbone, task.adapters, task.options)
            only_small_pages()
            yield Opened(self._engine.context_size)
            return
        if isinstance(task, Inspect):
            yield Inspected(inspect_backbone(task.backbone, task.chat_template))
            return
        if self._engine is None:
            raise EngineError("the engine is not open. Open the assistant again.")
        match task:
            case Generate(messages, mix, sampling, scope, answer_format):
                reply = self._engine.generate(messages, mix, sampling, scope, answer_format)
                with cancellation.forwarded(reply.cancel):
                    yield from join_deltas(reply)
            case Warm(history, max_tokens):
                job = self._engine.warm(history, max_tokens)
                with cancellation.forwarded(job.cancel):
                    yield from job
            case AddAdapter(file):
                self._engine.add_adapter(file)
            case RemoveAdapter(name):
                self._engine.remove_adapter(name)


def main() -> None:
    """Serves on stdin and stdout; what libraries print from now on goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the client, which cancels
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    responses = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)
    server = _Server(os.fdopen(STDIN, "rb"), responses)
    # llama.cpp cuts a text into words by a regular expression that goes one call deeper with each letter of a word.
    threading.stack_size(STACK)
    worker = threading.Thread(target=server.run)
    worker.start()
    worker.join()
