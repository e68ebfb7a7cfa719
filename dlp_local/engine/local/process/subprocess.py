"""One child process that runs the engine: its pipes, its requests, and why it ended."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast

from dlp_local.core import errors
from dlp_local.core.errors import EngineError
from dlp_local.engine.local import huge_pages
from dlp_local.engine.local.process.protocol import (
    Cancel,
    EngineEvent,
    Failed,
    Finished,
    Happened,
    Reply,
    Request,
    Task,
    receive,
    send,
)

SILENCE = 60
"""Seconds of waiting without a sign of life after which a child counts as frozen."""

ENVIRONMENT = {
    "GGML_NO_BACKTRACE": "1",
    "GOMP_SPINCOUNT": "10000",
    **huge_pages.ENVIRONMENT,
}
"""The child's, where the user does not set them.

llama.cpp's threads wait for each other hundreds of times a token. GNU OpenMP spins 300,000 rounds before it lets
another program run; with 10,000, two threads write as fast on a quiet machine and 2-3 times as fast on a busy one.
"""

_START = "import sys; sys.path = {path!r}; from dlp_local.engine.local.process.server import main; main()"


class ChildDiedError(Exception):
    """The child ended; the text says why, in plain words."""


class Child:
    """A running `served.py`. Requests are numbered by the caller and answered one after the other.

    No method but `events` and `close` waits for the child. Raises `EngineError` where the system starts none.
    """

    def __init__(self) -> None:
        path = [entry for entry in sys.path if isinstance(entry, str)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(path=path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT | os.environ,
            )
        except OSError as error:
            raise EngineError(f"the engine cannot be started ({error.strerror}). Close other programs.") from None
        self._outbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._open: dict[int, queue.SimpleQueue[Reply | None]] = {}
        self._lock = threading.Lock()
        self._complaints: deque[str] = deque(maxlen=20)
        self._signs_of_life = 0
        self._ended = self._frozen = False
        self._threads = [
            threading.Thread(target=work, args=(cast(BinaryIO, pipe),), daemon=True)
            for work, pipe in (
                (self._write, self._process.stdin),
                (self._listen, self._process.stdout),
                (self._overhear, self._process.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it may still answer."""
        return not self._ended and self._process.poll() is None

    def request(self, number: int, task: Task) -> None:
        """Asks for a task; `events` tells what comes of it."""
        with self._lock:
            replies = self._open[number] = queue.SimpleQueue()
            if self._ended:
                replies.put(None)
        self._outbox.put(Request(number, task))

    def cancel(self, number: int) -> None:
        """Ends a request within a token; one that is done stays as it is."""
        self._outbox.put(Request(number, Cancel()))

    def events(self, number: int) -> Iterator[EngineEvent]:
        """The events of a request, to its end; raises its error, or `ChildDiedError`."""
        replies = self._open[number]
        silence, heard = 0, self._signs_of_life
        try:
            while True:
                try:
                    reply = replies.get(timeout=1)
                except queue.Empty:
                    silence, heard = (silence + 1 if heard == self._signs_of_life else 0), self._signs_of_life
                    if silence >= SILENCE:
                        self._frozen = True
                        self._process.kill()
                    continue
                match reply:
                    case Happened(_, event):
                        yield event
                    case Failed(_, kind, text):
                        raise getattr(errors, kind, EngineError)(text)
                    case Finished():
                        return
                    case None:
                        raise ChildDiedError(self._why())
        finally:
            del self._open[number]

    def _write(self, pipe: BinaryIO) -> None:
        with suppress(OSError, ValueError), pipe:
            while (request := self._outbox.get()) is not None:
                send(pipe, request)

    def _listen(self, pipe: BinaryIO) -> None:
        with pipe:
            while (reply := receive(pipe)) is not None:
                self._signs_of_life += 1
                if isinstance(reply, Happened | Finished | Failed) and (replies := self._open.get(reply.number)):
                    replies.put(reply)
        with self._lock:
            self._ended = True
            for replies in list(self._open.values()):
                replies.put(None)

    def _overhear(self, pipe: BinaryIO) -> None:
        with pipe:
            for line in pipe:
                if text := line.decode("utf-8", "replace").strip():
                    self._complaints.append(text)

    def _why(self) -> str:
        code = self._wait()
        self._threads[-1].join(timeout=1)
        last = self._complaints[-1] if self._complaints else "it gave no reason"
        if self._frozen:
            return "The engine no longer responded and was ended."
        if code == -getattr(signal, "SIGKILL", 9):
            return (
                "The system ended the engine, most likely for lack of memory. "
                "Close other programs, or use a smaller engine.context."
            )
        return f"The engine stopped with an error of its own ({last}; code {code})."

    def _wait(self) -> int:
        """The process's exit code; it is killed where it does not end by itself."""
        try:
            return self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Ends the child: its pipe ends, and it with that."""
        self._outbox.put(None)
        self._wait()
