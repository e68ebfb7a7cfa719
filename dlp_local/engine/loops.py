"""Whether an answer goes round in circles, token by token."""

from __future__ import annotations

import numpy as np

LONGEST_PERIOD = 512
"""Tokens of the longest part whose repetition is noticed: a page or so."""

REPEATS = 4
"""So often a part has to come, one directly after the other."""

SHORTEST_LOOP = 256
"""Tokens that the repetitions of a short part have to fill. A rule of dashes, a row of zeros, a table of equal rows and
a refrain are shorter."""


class LoopDetector:
    """Reads the tokens of one answer, each in the same short time however long the answer is.

    An answer loops where it ends in the same part, 1 to `LONGEST_PERIOD` tokens long, `REPEATS` times in a row or more,
    over at least `SHORTEST_LOOP` tokens. A text that changes in each round, as a numbered list does, is none.
    """

    def __init__(self) -> None:
        self._recent = np.full(LONGEST_PERIOD, -1, np.int64)
        """The last tokens, the newest first."""
        self._equal = np.zeros(LONGEST_PERIOD, np.int64)
        """For each period p = index + 1: how many of the last tokens, in a row, equal the one p before them."""
        periods = np.arange(1, LONGEST_PERIOD + 1)
        self._enough = np.maximum(SHORTEST_LOOP, REPEATS * periods) - periods

    def feed(self, token: int) -> bool:
        """Takes the next token; whether the answer loops with it."""
        self._equal = np.where(self._recent == token, self._equal + 1, 0)
        self._recent = np.roll(self._recent, 1)
        self._recent[0] = token
        return bool((self._equal >= self._enough).any())
