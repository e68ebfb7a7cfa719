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
from functools import partial
from pathlib import Path
from typing import BinaryIO

from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.core.events import PromptProgress
from dlp_local.core.job import Cancellation
from dlp_local.engine.base import EngineEvent
from dlp_local.engine.local.engine import LocalEngine
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
    Requests,
    Response,
    StartAnew,
    Warm,
    encode,
    receive,
)
from dlp_local.engine.local.stepper import Running
from dlp_local.engine.local.system_memory import only_small_pages
from dlp_local.engine.text import JoinedDeltas

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
        self._waiting: queue.SimpleQueue[Requests] = queue.SimpleQueue()
        self._cancellations: dict[int, Cancellation] = {}
        """One for each request that waits or runs."""

        self._running: dict[int, tuple[Running, JoinedDeltas]] = {}
        self._engine: LocalEngine | None = None
        self._writing = threading.Lock()

    def run(self) -> None:
        """Answers requests for as long as the client is there; never returns."""
        threading.stack_size(0)
        self._write(START)
        for work in (self._read_requests, self._send_heartbeats):
            threading.Thread(target=work, daemon=True).start()
        while True:
            while not (self._running and self._waiting.empty()):
                for request in self._waiting.get().requests:
                    self._take(request)
            self._step()

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
            while isinstance(received := receive(self._requests), Requests | Cancel):
                if isinstance(received, Requests):
                    self._cancellations.update((request.number, Cancellation()) for request in received.requests)
                    self._waiting.put(received)
                elif cancellation := self._cancellations.get(received.number):
                    cancellation.request()
        finally:
            # The client closed the pipe, is gone or sends what is no request: nothing here is worth another moment.
            os._exit(0)

    def _take(self, request: Request) -> None:
        """Does what is done at once, and starts what runs beside others."""
        try:
            running = self._start(request)
        except Exception as error:
            self._end(request.number, error)
            return
        if running is None:
            self._end(request.number, None)
        else:
            self._running[request.number] = running, JoinedDeltas()

    def _start(self, request: Request) -> Running | None:
        number = request.number
        cancellation, emit = self._cancellations[number], partial(self._pass_on, number)
        match request.task:
            case Open(backbone, adapters, options):
                self._engine = LocalEngine(backbone, adapters, options)
                only_small_pages()
                self._send(RequestEvent(number, Opened(self._engine.context_size)))
            case Inspect(backbone, chat_template):
                self._send(RequestEvent(number, Inspected(inspect_backbone(backbone, chat_template))))
            case Generate(messages, mix, sampling, scope, answer_format):
                return self._opened().start_reply(messages, mix, sampling, scope, answer_format, cancellation, emit)
            case Warm(history, max_tokens):
                return self._opened().start_warming(history, max_tokens, cancellation, emit)
            case AddAdapter(file):
                self._opened().add_adapter(file)
            case RemoveAdapter(name):
                self._opened().remove_adapter(name)
            case StartAnew():
                self._opened().start_anew()
        return None

    def _opened(self) -> LocalEngine:
        if self._engine is None:
            raise EngineError("the engine is not open. Open the assistant again.")
        return self._engine

    def _pass_on(self, number: int, event: EngineEvent | PromptProgress) -> None:
        if isinstance(event, PromptProgress):
            self._send(RequestEvent(number, event))
            return
        for joined in self._running[number][1].feed(event):
            self._send(RequestEvent(number, joined))

    def _step(self) -> None:
        self._opened().step()
        for number, (running, deltas) in list(self._running.items()):
            if running.ended:
                for event in deltas.rest():
                    self._send(RequestEvent(number, event))
                del self._running[number]
                self._end(number, running.error)

    def _end(self, number: int, error: BaseException | None) -> None:
        del self._cancellations[number]
        if error is None:
            self._send(Finished(number))
        elif isinstance(error, DlpLocalError):
            self._send(Failed(number, type(error).__name__, str(error)))
        else:
            reason = f"something unexpected happened in the engine ({type(error).__name__}: {error}). Ask again."
            self._send(Failed(number, EngineError.__name__, reason))


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
