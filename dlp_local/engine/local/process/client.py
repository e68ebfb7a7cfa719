"""The engine in a process of its own: what ends it, ends no conversation.

A failed assertion in llama.cpp, a kill for lack of memory or a bad file ends the child; the part of the answer that had
come is kept, the reason is said, and the next request starts another child. The child ends with its parent, however the
parent ended, for its pipe then ends too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from dlp_local.core import settings
from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.core.events import Generated, HistoryTrimmed, TextDelta
from dlp_local.core.values import AdapterFile, Message, Mix, Scope
from dlp_local.engine.local.process.protocol import (
    AddAdapter,
    EngineEvent,
    Generate,
    Open,
    Opened,
    RemoveAdapter,
    Task,
    Warm,
)
from dlp_local.engine.local.process.subprocess import Child, ChildDiedError


class EngineProcess:
    """An `Engine` in a child process, with the same methods; not thread-safe but for `cancel`.

    It begins to load when it is made; `context_size` and every request wait for that and raise what `Engine` raises.
    A child that died is replaced at the next request, and a request it had not begun to answer is made again.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        self._backbone, self._options = backbone, options
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._numbers = count()
        self._cancelled = self._closed = False
        self._context_size = 0
        self._running: tuple[Child, int] | None = None
        self._guard = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._child = Child()
        self._opening: int | None = next(self._numbers)
        self._child.request(self._opening, Open(self._backbone, tuple(self._adapters.values()), self._options))

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._child.pid

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        self._ready()
        return self._context_size

    def _ready(self) -> Child:
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
            except ChildDiedError as died:
                raise EngineError(f"{self._backbone}: cannot be loaded. {died}") from None
            except DlpLocalError:
                self._child.close()
                raise
        return self._child

    def _begin(self, child: Child, task: Task) -> int:
        """Asks for a task in place of the one that runs."""
        number = next(self._numbers)
        child.request(number, task)
        with self._guard:
            before, self._running = self._running, (child, number)
            if self._cancelled:
                child.cancel(number)
        if before is not None:
            before[0].cancel(before[1])
        return number

    def _end(self, child: Child, number: int) -> None:
        with self._guard:
            if self._running == (child, number):
                self._running = None
        child.cancel(number)

    def _events(self, task: Task) -> Iterator[EngineEvent]:
        """The events of a task; in another child once more where this one died before any text had come."""
        trimmed: EngineEvent | None = None
        for is_last in (False, True):
            child = self._ready()
            number = self._begin(child, task)
            has_text = False
            try:
                for event in child.events(number):
                    has_text = has_text or isinstance(event, TextDelta)
                    if event != trimmed:
                        trimmed = event if isinstance(event, HistoryTrimmed) else trimmed
                        yield event
                return
            except ChildDiedError:
                if has_text or is_last:
                    raise
            finally:
                self._end(child, number)

    def _run(self, task: Task) -> None:
        try:
            for _ in self._events(task):
                pass
        except ChildDiedError as died:
            raise EngineError(str(died)) from None

    def generate(
        self, messages: Sequence[Message], mix: Mix, sampling: settings.Sampling, scope: Scope | None = None
    ) -> Iterator[HistoryTrimmed | TextDelta | Generated]:
        """As `Engine.generate`; where the child dies, the last event is a `Generated` with the reason."""
        started, tokens, first = time.perf_counter(), 0, 0.0
        try:
            for event in self._events(Generate(tuple(messages), mix, sampling, scope)):
                if isinstance(event, TextDelta):
                    tokens, first = tokens + 1, first or time.perf_counter()
                if not isinstance(event, Opened):
                    yield event
                if isinstance(event, Generated):
                    return
        except ChildDiedError as died:
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

    def warm(self, history: Sequence[Message], max_tokens: int) -> None:
        """As `Engine.warm`."""
        self._run(Warm(tuple(history), max_tokens))

    def add_adapter(self, adapter: AdapterFile) -> None:
        """As `Engine.add_adapter`; a new child knows it too."""
        self._run(AddAdapter(adapter))
        self._adapters[adapter.name] = adapter

    def remove_adapter(self, name: str) -> None:
        """As `Engine.remove_adapter`; a new child does not know it either."""
        self._run(RemoveAdapter(name))
        self._adapters.pop(name, None)

    def cancel(self) -> None:
        """Ends the running answer within a token and a running `warm` at once; from any thread, until `resume`."""
        with self._guard:
            self._cancelled = True
            if self._running is not None:
                child, number = self._running
                child.cancel(number)

    def resume(self) -> None:
        """Takes a `cancel` back before the next answer."""
        with self._guard:
            self._cancelled = False

    def close(self) -> None:
        """Ends the child."""
        if not self._closed:
            self._closed = True
            self._child.close()
