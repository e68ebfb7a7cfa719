"""The engine in a process of its own: what ends it, ends no conversation.

A failed assertion in llama.cpp, a kill for lack of memory or a bad file ends the child; the part of the answer that had
come is kept, the reason is said, and the next request starts another child. The child ends with its parent, however the
parent ended, for its pipe then ends too.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, cast

from dlp_local import errors, settings
from dlp_local.engine.protocol import (
    AddAdapter,
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
    Settle,
    Task,
    receive,
    send,
)
from dlp_local.errors import EngineError
from dlp_local.records import AdapterFile, Generated, HistoryTrimmed, Message, Mix, TextDelta

SILENCE = 60.0
"""Seconds without a sign of life after which a child counts as frozen."""

_START = "import sys; sys.path = {path!r}; from dlp_local.engine.served import main; main()"


class WorkerDiedError(Exception):
    """The child ended; the text says why, in plain words."""


class _Child:
    """One child process and the requests that are open in it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"GGML_NO_BACKTRACE": "1"},
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._writing = threading.Lock()
        self._numbers = count()
        self._open: dict[int, queue.SimpleQueue[Reply | None]] = {}
        self._lock = threading.Lock()
        self._complaints: deque[str] = deque(maxlen=20)
        self._heard = time.monotonic()
        self._ended = False
        self._frozen = False
        threads = [
            threading.Thread(target=self._listen, args=(cast(BinaryIO, self._process.stdout),), daemon=True),
            threading.Thread(target=self._overhear, args=(cast(BinaryIO, self._process.stderr),), daemon=True),
        ]
        for thread in threads:
            thread.start()
        self._overhearing = threads[1]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended and self._process.poll() is None

    def request(self, task: Task) -> int:
        """Sends a task; returns its number. A dead child is noticed by `events`."""
        number = next(self._numbers)
        with self._lock:
            replies = self._open[number] = queue.SimpleQueue()
            if self._ended:
                replies.put(None)
        self._send(Request(number, task))
        return number

    def cancel(self, number: int) -> None:
        """Ends an open request within a token."""
        if number in self._open:
            self._send(Request(number, Cancel()))

    def _send(self, request: Request) -> None:
        with self._writing, suppress(OSError, ValueError):
            send(self._requests, request)

    def events(self, number: int) -> Iterator[EngineEvent]:
        """The events of a request, to its end; raises its error, or `WorkerDiedError`."""
        replies = self._open[number]
        try:
            while True:
                try:
                    reply = replies.get(timeout=1)
                except queue.Empty:
                    self._check_silence()
                    continue
                match reply:
                    case Happened(_, event):
                        yield event
                    case Failed(_, kind, text):
                        raise getattr(errors, kind, EngineError)(text)
                    case Finished():
                        return
                    case None:
                        raise WorkerDiedError(self._why())
        finally:
            del self._open[number]

    def _check_silence(self) -> None:
        if self.alive and time.monotonic() - self._heard > SILENCE:
            self._frozen = True
            self._process.kill()

    def _listen(self, pipe: BinaryIO) -> None:
        while (reply := receive(pipe)) is not None:
            self._heard = time.monotonic()
            if isinstance(reply, Happened | Finished | Failed) and (replies := self._open.get(reply.number)):
                replies.put(reply)
        with self._lock:
            self._ended = True
            for replies in list(self._open.values()):
                replies.put(None)

    def _overhear(self, pipe: BinaryIO) -> None:
        for line in pipe:
            if text := line.decode("utf-8", "replace").strip():
                self._complaints.append(text)

    def _why(self) -> str:
        code = self._process.wait()
        self._overhearing.join(timeout=1)
        last = self._complaints[-1] if self._complaints else "it gave no reason"
        if self._frozen:
            return "The engine no longer responded and was ended."
        if code == -getattr(signal, "SIGKILL", 9):
            return (
                "The system ended the engine, most likely for lack of memory. "
                "Close other programs, or use a smaller engine.context."
            )
        return f"The engine stopped with an error of its own ({last}; code {code})."

    def close(self) -> None:
        """Ends the child: its pipe ends, and it with that."""
        with suppress(OSError, ValueError):
            self._requests.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class EngineProcess:
    """An `Engine` in a child process, with the same methods; not thread-safe but for `cancel`.

    It begins to load when it is made; `context_size` and every request wait for that and raise what `Engine` raises.
    A child that died is replaced at the next request, and a request it had not begun to answer is made again.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        self._backbone, self._options = backbone, options
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._cancelled = False
        self._closed = False
        self._context_size = 0
        self._running: int | None = None
        self._guard = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._child = _Child()
        self._opening: int | None = self._child.request(
            Open(self._backbone, tuple(self._adapters.values()), self._options)
        )

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._child.pid

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        self._ready()
        return self._context_size

    def _ready(self) -> _Child:
        """The child with its backbone loaded; another one where it died."""
        if self._closed:
            raise EngineError("the engine is closed. Open the assistant again.")
        if self._opening is None and not self._child.alive:
            self._child.close()
            self._start()
        if self._opening is not None:
            opening, self._opening = self._opening, None
            try:
                for event in self._child.events(opening):
                    if isinstance(event, Opened):
                        self._context_size = event.context_size
            except WorkerDiedError as died:
                raise EngineError(f"{self._backbone}: cannot be loaded. {died}") from None
            except errors.DlpLocalError:
                self._child.close()
                raise
        return self._child

    def _begin(self, child: _Child, task: Task) -> int:
        number = child.request(task)
        with self._guard:
            before, self._running = self._running, number
            if self._cancelled:
                child.cancel(number)
        if before is not None:
            child.cancel(before)
        return number

    def _end(self, child: _Child, number: int) -> None:
        with self._guard:
            if self._running == number:
                self._running = None
        child.cancel(number)

    def _events(self, task: Task) -> Iterator[EngineEvent]:
        """The events of a task; in another child once more where this one died before anything had come."""
        for is_last in (False, True):
            child = self._ready()
            number = self._begin(child, task)
            came = False
            try:
                for event in child.events(number):
                    came = True
                    yield event
                return
            except WorkerDiedError:
                if came or is_last:
                    raise
            finally:
                self._end(child, number)

    def _run(self, task: Task) -> None:
        try:
            for _ in self._events(task):
                pass
        except WorkerDiedError as died:
            raise EngineError(str(died)) from None

    def generate(
        self, messages: Sequence[Message], mix: Mix, sampling: settings.Sampling
    ) -> Iterator[HistoryTrimmed | TextDelta | Generated]:
        """As `Engine.generate`; where the child dies, the last event is a `Generated` with the reason."""
        started, tokens, first = time.perf_counter(), 0, 0.0
        try:
            for event in self._events(Generate(tuple(messages), mix, sampling)):
                if isinstance(event, TextDelta):
                    tokens, first = tokens + 1, first or time.perf_counter()
                if not isinstance(event, Opened):
                    yield event
        except WorkerDiedError as died:
            now = time.perf_counter()
            yield Generated(
                finish_reason="error",
                prompt_tokens=0,
                answer_tokens=tokens,
                context_used=0,
                first_token_ms=((first or now) - started) * 1000,
                total_ms=(now - started) * 1000,
                error=str(died),
            )

    def settle(self, history: Sequence[Message], max_tokens: int) -> None:
        """As `Engine.settle`."""
        self._run(Settle(tuple(history), max_tokens))

    def add_adapter(self, adapter: AdapterFile) -> None:
        """As `Engine.add_adapter`; a new child knows it too."""
        self._run(AddAdapter(adapter))
        self._adapters[adapter.name] = adapter

    def remove_adapter(self, name: str) -> None:
        """As `Engine.remove_adapter`; a new child does not know it either."""
        self._run(RemoveAdapter(name))
        self._adapters.pop(name, None)

    def cancel(self) -> None:
        """Ends the running answer within a token and a running `settle` at once; from any thread, until `resume`."""
        with self._guard:
            self._cancelled = True
            if self._running is not None:
                self._child.cancel(self._running)

    def resume(self) -> None:
        """Takes a `cancel` back before the next answer."""
        with self._guard:
            self._cancelled = False

    def close(self) -> None:
        """Ends the child."""
        if not self._closed:
            self._closed = True
            self._child.close()
