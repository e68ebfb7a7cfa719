"""The child's side: an engine that answers requests from a pipe until the pipe ends.

`child.py` starts it as `python -c "from dlp_local.engine.local.process.server import main; main()"`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.engine.local.engine import Engine
from dlp_local.engine.local.huge_pages import only_small_pages
from dlp_local.engine.local.process.protocol import (
    AddAdapter,
    Alive,
    Cancel,
    EngineEvent,
    Failed,
    Finished,
    Generate,
    Happened,
    Open,
    Opened,
    RemoveAdapter,
    Reply,
    Request,
    Task,
    Warm,
    receive,
    send,
)
from dlp_local.engine.text import by_frame

HEARTBEAT = 1.0
"""Seconds between two signs of life."""

OOM_SCORE = "500"
"""Linux: where memory runs out, this process goes before the window's."""


class _Server:
    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests, self._replies = requests, replies
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._current = self._finished = -1
        self._cancelled: set[int] = set()
        self._writing = threading.Lock()

    def run(self) -> None:
        for work in (self._listen, self._beat):
            threading.Thread(target=work, daemon=True).start()
        while True:
            self._answer(self._waiting.get())

    def _say(self, reply: Reply) -> None:
        try:
            with self._writing:
                send(self._replies, reply)
        except OSError:
            os._exit(0)  # nobody listens any more

    def _beat(self) -> None:
        while True:
            self._say(Alive())
            time.sleep(HEARTBEAT)

    def _listen(self) -> None:
        while isinstance(request := receive(self._requests), Request):
            if isinstance(request.task, Cancel):
                self._cancel(request.number)
            else:
                self._waiting.put(request)
        # The parent closed the pipe or is gone, however it ended: nothing here is worth another moment.
        os._exit(0)

    def _cancel(self, number: int) -> None:
        with self._lock:
            if number > self._finished:
                self._cancelled.add(number)
            if number == self._current and self._engine:
                self._engine.cancel()

    def _answer(self, request: Request) -> None:
        with self._lock:
            self._current = request.number
            if self._engine:
                self._engine.resume()
                if request.number in self._cancelled:
                    self._engine.cancel()
        try:
            for event in self._events(request.task):
                self._say(Happened(request.number, event))
            self._say(Finished(request.number))
        except DlpLocalError as error:
            self._say(Failed(request.number, type(error).__name__, str(error)))
        except Exception as error:
            reason = f"something unexpected happened in the engine ({type(error).__name__}: {error}). Ask again."
            self._say(Failed(request.number, EngineError.__name__, reason))
        with self._lock:
            self._current, self._finished = -1, request.number
            self._cancelled.discard(request.number)

    def _events(self, task: Task) -> Iterator[EngineEvent]:
        if isinstance(task, Open):
            self._engine = Engine(task.backbone, task.adapters, task.options)
            only_small_pages()
            yield Opened(self._engine.context_size)
            return
        if self._engine is None:
            raise EngineError("the engine is not open. Open the assistant again.")
        match task:
            case Generate(messages, mix, sampling, scope):
                yield from by_frame(self._engine.generate(messages, mix, sampling, scope))
            case Warm(history, max_tokens):
                self._engine.warm(history, max_tokens)
            case AddAdapter(file):
                self._engine.add_adapter(file)
            case RemoveAdapter(name):
                self._engine.remove_adapter(name)


def main() -> None:
    """Serves on stdin and stdout; what libraries print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the parent, which cancels
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _Server(sys.stdin.buffer, replies).run()
