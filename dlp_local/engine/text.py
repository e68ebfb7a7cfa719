"""Stop strings, and fewer but longer deltas: steps from the texts of tokens to the screen."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from dlp_local.core.events import ReasoningDelta, TextDelta
from dlp_local.engine.base import EngineEvent

FRAME = 1 / 30
"""Seconds. Texts that follow one another faster are read no sooner for it, and each costs both processes time."""


def held_back(text: str, stops: Sequence[str]) -> int:
    """Length of the longest end of a text that starts one of the stops."""
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest


class StreamUntil(ABC):
    """Passes a stream on up to what ends it, and holds back what may become the beginning of that."""

    def __init__(self) -> None:
        self._held = ""
        self.hit = False
        """Whether the end has come; nothing passes after it."""

    @abstractmethod
    def _end(self, text: str) -> int | None:
        """Where in a text what ends it begins; None where it is not there."""

    @abstractmethod
    def _begun(self, text: str) -> int:
        """Where in a text that has no end yet the last part stands that may become one; its length for nowhere."""

    def feed(self, text: str) -> str:
        """Takes the next text and returns what is certain to stand before the end."""
        if self.hit:
            return ""
        self._held += text
        if (end := self._end(self._held)) is not None:
            self.hit = True
            safe, self._held = self._held[:end], ""
            return safe
        cut = self._begun(self._held)
        safe, self._held = self._held[:cut], self._held[cut:]
        return safe

    def rest(self) -> str:
        """What was held back when the stream ended by itself."""
        held, self._held = self._held, ""
        return held


class StopStrings(StreamUntil):
    """Ends a stream at the first of some texts."""

    def __init__(self, stops: Sequence[str]) -> None:
        super().__init__()
        self._stops = tuple(stop for stop in stops if stop)

    def _end(self, text: str) -> int | None:
        return min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=None)

    def _begun(self, text: str) -> int:
        return len(text) - held_back(text, self._stops)


class JoinedDeltas:
    """The same events, but texts of one kind that come within a frame after another one as one text with the next.

    The first comes at once, and none is held back when another event follows, or the end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: TextDelta | ReasoningDelta | None = None
        self._free_at = 0.0

    def feed(self, event: EngineEvent) -> Iterator[EngineEvent]:
        """What is to be passed on now."""
        if isinstance(event, TextDelta | ReasoningDelta):
            if not event.text:
                return
            if self._held is not None and type(self._held) is type(event):
                event, self._held = replace(event, text=self._held.text + event.text), None
            if self._held is None and self._clock() < self._free_at:
                self._held = event
                return
        yield from self.rest()
        yield event
        if isinstance(event, TextDelta | ReasoningDelta):
            self._free_at = self._clock() + FRAME

    def rest(self) -> Iterator[EngineEvent]:
        """What is held back, once nothing follows."""
        held, self._held = self._held, None
        if held is not None:
            yield held
