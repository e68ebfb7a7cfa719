"""One child process that runs the engine: its pipes, its requests, and why it ended."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import BinaryIO, cast

from dlp_local.core import errors
from dlp_local.core.errors import EngineError
from dlp_local.engine.local import system_memory
from dlp_local.engine.local.process.protocol import (
    Cancel,
    Failed,
    Finished,
    ProtocolError,
    Request,
    RequestEvent,
    Requests,
    Response,
    Task,
    TaskEvent,
    encode,
    receive,
    skip_prelude,
)

ENVIRONMENT = {
    "GGML_NO_BACKTRACE": "1",
    "GOMP_SPINCOUNT": "10000",
    **system_memory.ENVIRONMENT,
}
"""The child's, where the user does not set them.

llama.cpp's threads wait for each other hundreds of times a token. GNU OpenMP spins 300,000 rounds before it lets
another program run; with 10,000, two threads write as fast on a quiet machine and 2-3 times as fast on a busy one.
"""

EXIT_TIMEOUT = 2.0
"""Seconds that a child has to end by itself."""

_START = "import sys; sys.path = {path!r}; from dlp_local.engine.local.process.server import main; main()"

_CHECK = re.compile(r"GGML_ASSERT\((.*)\) failed")
"""What llama.cpp says where something is so that it cannot go on; most often that is a number in a model's file."""

_PLACE = re.compile(r"\S*\.(?:c|cc|cpp|cu|cuh|h|hpp|m|metal):\d+:\s*")
"""A line of llama.cpp's source, as it lay on the machine where it was built."""


class ChildDiedError(Exception):
    """The child ended; the text says why, in plain words."""


class Child:
    """A running `server.py`. Requests are numbered by the caller.

    `timeout`: seconds without a sign of life after which a child that somebody waits for counts as frozen. Every method
    may be called from any thread; none but `events` and `close` waits for the child. Raises `EngineError` where the
    system starts none.
    """

    def __init__(self, timeout: float) -> None:
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
            may_not = isinstance(error, PermissionError)
            advice = f"Look whether {sys.executable} may be run by you." if may_not else "Close other programs."
            raise EngineError(f"the engine cannot be started ({error.strerror}). {advice}") from None
        self._timeout = timeout
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._requests: dict[int, queue.SimpleQueue[Response | None]] = {}
        self._lock = threading.Lock()
        self._stderr_lines: deque[str] = deque(maxlen=20)
        self._signs_of_life = 0
        self._ended = self._frozen = False
        self._broken = ""
        self._threads = [
            threading.Thread(target=work, args=(cast(BinaryIO, pipe),), daemon=True)
            for work, pipe in (
                (self._write_requests, self._process.stdin),
                (self._read_responses, self._process.stdout),
                (self._read_stderr, self._process.stderr),
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
        self.request_together({number: task})

    def request_together(self, numbered: Mapping[int, Task]) -> None:
        """Asks for tasks, all of which begin before one is computed; `events` tells what comes of each."""
        frame = encode(Requests(tuple(Request(number, task) for number, task in numbered.items())))
        with self._lock:
            for number in numbered:
                responses = self._requests[number] = queue.SimpleQueue()
                if self._ended:
                    responses.put(None)
        self._outbox.put(frame)

    def cancel(self, number: int) -> None:
        """Ends a request within a token; one that is done stays as it is. Safe in a signal handler."""
        self._outbox.put(encode(Cancel(number)))

    def events(self, number: int) -> Iterator[TaskEvent]:
        """The events of a request, to its end; raises its error, or `ChildDiedError`.

        A request whose events are not read to the end is cancelled.
        """
        responses = self._requests[number]
        done = False
        try:
            while not done:
                match self._next_response(responses):
                    case RequestEvent(_, event):
                        yield event
                    case Failed(_, kind, text):
                        done = True
                        raise getattr(errors, kind, EngineError)(text)
                    case Finished():
                        done = True
                    case None:
                        done = True
                        raise ChildDiedError(self._exit_reason())
        finally:
            del self._requests[number]
            if not done:
                self.cancel(number)

    def _next_response(self, responses: queue.SimpleQueue[Response | None]) -> Response | None:
        """The next response to a request, None from a child that ended; ends one that shows no sign of life."""
        silence, heard = 0, self._signs_of_life
        while True:
            with suppress(queue.Empty):
                return responses.get(timeout=1)
            silence, heard = (silence + 1 if heard == self._signs_of_life else 0), self._signs_of_life
            if silence >= self._timeout:
                self._frozen = True
                self._process.kill()

    def _write_requests(self, pipe: BinaryIO) -> None:
        with suppress(OSError, ValueError), pipe:
            while (frame := self._outbox.get()) is not None:
                pipe.write(frame)
                pipe.flush()

    def _read_responses(self, pipe: BinaryIO) -> None:
        """Hands responses to those who wait for them; however it ends, nobody waits any longer."""
        try:
            with pipe:
                running = skip_prelude(pipe)
                while running and (response := receive(pipe)) is not None:
                    self._signs_of_life += 1
                    number = getattr(response, "number", None)
                    if number is not None and (responses := self._requests.get(number)):
                        responses.put(cast(Response, response))
        except (ProtocolError, OSError) as error:
            self._broken = str(error)
        finally:
            with self._lock:
                self._ended = True
                for responses in list(self._requests.values()):
                    responses.put(None)

    def _read_stderr(self, pipe: BinaryIO) -> None:
        with pipe:
            for line in pipe:
                if text := line.decode("utf-8", "replace").strip():
                    self._stderr_lines.append(text)

    def _exit_reason(self) -> str:
        """Why the child ended; it is ended first where it does not by itself."""
        code = self._wait()
        self._threads[-1].join(timeout=1)
        last = self._stderr_lines[-1] if self._stderr_lines else "it gave no reason"
        if self._frozen:
            return (
                f"The engine no longer responded for {self._timeout:g} s and was ended. "
                "Ask again; engine.response_timeout sets how long it may take."
            )
        if self._broken:
            return f"The engine's answers could not be read ({self._broken}) and it was ended. Ask again."
        if code == -getattr(signal, "SIGKILL", 9):
            return (
                "The system ended the engine, most likely for lack of memory. "
                "Close other programs, or use a smaller engine.context."
            )
        if check := _CHECK.search(last):
            return (
                f"The model's file makes llama.cpp stop ({check[1]}; code {code}). "
                "Get another file of this model, or a newer llama-cpp-python; where it has answered before, ask again."
            )
        return f"The engine stopped with an error of its own ({_PLACE.sub('', last)}; code {code})."

    def _wait(self) -> int:
        """The process's exit code; it is killed where it does not end by itself."""
        try:
            return self._process.wait(timeout=EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Ends the child: its pipe ends, and it with that."""
        self._outbox.put(None)
        self._wait()
