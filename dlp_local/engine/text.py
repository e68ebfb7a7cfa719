"""From token bytes to whole characters, the stop strings, and longer deltas: the steps from tokens to the screen."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from dlp_local.core.events import TextDelta
from dlp_local.engine.base import EngineEvent

FRAME = 1 / 30
"""Seconds. Texts that follow one another faster are read no sooner for it, and each costs both processes time."""


def whole_characters(pieces: Iterable[bytes]) -> Iterator[str]:
    """Joins the bytes of tokens into text, one text a piece; a character that spans tokens comes with its last one.

    Bytes that are no UTF-8 become U+FFFD; a character that is cut off at the end is left out.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)


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
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.hit = True
            safe, self._held = self._held[: min(found)], ""
            return safe
        cut = len(self._held) - self._held_back()
        safe, self._held = self._held[:cut], self._held[cut:]
        return safe

    def _held_back(self) -> int:
        """Length of the longest end of the held text that starts a stop string."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:length]):
                    longest = length
                    break
        return longest

    def rest(self) -> str:
        """What was held back when the stream ended without a stop string."""
        held, self._held = self._held, ""
        return held


def join_deltas(events: Iterable[EngineEvent], clock: Callable[[], float] = time.monotonic) -> Iterator[EngineEvent]:
    """The same events, but the texts that come within a frame after another one as one text with the next.

    The first comes at once, and none is held back when another event follows, an error, or the end.
    """
    held, free_at = "", 0.0
    try:
        for event in events:
            if isinstance(event, TextDelta):
                held += event.text
                if clock() < free_at:
                    continue
            if held:
                yield TextDelta(held)
                held, free_at = "", clock() + FRAME
            if not isinstance(event, TextDelta):
                yield event
    except Exception:
        if held:
            yield TextDelta(held)
        raise
    if held:
        yield TextDelta(held)
