"""Stop strings, and fewer but longer deltas: steps from the texts of tokens to the screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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


class StopStrings:
    """Holds back the end of a stream for as long as it may be the start of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.hit = False
        """Whether a stop string has come; nothing passes after it."""

    def feed(self, text: str) -> str:
        """Takes the next text and returns what is certain to stand before any stop string."""
        if self.hit:
            return ""
        self._held += text
        positions = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if positions:
            self.hit = True
            safe, self._held = self._held[: min(positions)], ""
            return safe
        cut = len(self._held) - held_back(self._held, self._stops)
        safe, self._held = self._held[:cut], self._held[cut:]
        return safe

    def rest(self) -> str:
        """What was held back when the stream ended without a stop string."""
        held, self._held = self._held, ""
        return held


def join_deltas(events: Iterable[EngineEvent], clock: Callable[[], float] = time.monotonic) -> Iterator[EngineEvent]:
    """The same events, but texts of one kind that come within a frame after another one as one text with the next.

    The first comes at once, and none is held back when another event follows, an error, or the end.
    """
    held: TextDelta | ReasoningDelta | None = None
    free_at = 0.0
    try:
        for event in events:
            if isinstance(event, TextDelta | ReasoningDelta):
                if not event.text:
                    continue
                if held is not None and type(held) is type(event):
                    event = replace(event, text=held.text + event.text)
                    held = None
                if held is None and clock() < free_at:
                    held = event
                    continue
            if held is not None:
                yield held
                held = None
            yield event
            if isinstance(event, TextDelta | ReasoningDelta):
                free_at = clock() + FRAME
    except Exception:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held
