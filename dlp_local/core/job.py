"""Something that runs while its events are read, and that any thread may cancel."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

Event = TypeVar("Event")
Found = TypeVar("Found")


def returned(steps: Generator[Any, None, Found], see: Callable[[Any], object] = lambda _: None) -> Found:
    """Runs a generator to its end; returns what it returns. What it gives on the way is for `see` alone."""
    while True:
        try:
            see(next(steps))
        except StopIteration as end:
            found: Found = end.value
            return found


class Cancellation:
    """The request that one job end. It may come from any thread and from a signal handler, and is never taken back."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may interrupt its own thread within these methods
        self._requested = False
        self._listeners: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Whether the job is to end."""
        return self._requested

    def request(self) -> None:
        """Asks the job to end and calls every listener once; does nothing where it was asked before."""
        with self._lock:
            self._requested = True
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    @contextmanager
    def forwarded(self, listener: Callable[[], object]) -> Iterator[None]:
        """Within the block a request calls `listener`; one that was made before calls it at once."""
        with self._lock:
            self._listeners.append(listener)
            requested = self._requested
        if requested:
            self.request()
        try:
            yield
        finally:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)


class Job(Iterator[Event], Generic[Event]):
    """The events of something that runs, in order; it begins when the first one is asked for.

    One thread reads the events, which raise the job's errors. A job that is cancelled still gives its last event, where
    it has one. One that is dropped or closed before its end is cancelled.
    """

    def __init__(self, run: Callable[[Cancellation], Generator[Event, None, None]]) -> None:
        """`run` makes the generator that does the work; it looks at the cancellation, or has it forwarded."""
        self._cancellation = Cancellation()
        self._events = run(self._cancellation)

    def __next__(self) -> Event:
        return next(self._events)

    def cancel(self) -> None:
        """Ends the job as soon as it can end, also where it has not begun; from any thread."""
        self._cancellation.request()

    def close(self) -> None:
        """Gives the job up: it ends, and no more events come. For the thread that reads the events."""
        self._cancellation.request()
        self._events.close()

    def finish(self) -> Event | None:
        """Runs the job to its end; returns its last event, None where there was none (more)."""
        last = deque(self, maxlen=1)
        return last[0] if last else None
