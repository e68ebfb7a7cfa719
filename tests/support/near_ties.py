"""Whether two answers differ by rounding alone: at a token where the best two were as good as even."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any
from unittest import mock

import numpy as np

from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.engine import LocalEngine

ROUNDING = 0.1
"""What the order of a sum comes to in the logits of the bundled backbone, at most (docs/architecture.md)."""


def shared_start(one: str, other: str) -> str:
    """What two texts begin with in common."""
    pairs = zip(one, other, strict=False)
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def lead(engine: LocalEngine, history: Sequence[Message], text: str, mix: Mix, begun: str, sampling: Sampling) -> float:
    """By how much the best next token leads the second, after the beginning of an answer."""
    logits_in_place = engine._backbone.logits_in_place
    seen: list[Any] = []

    def look(row: int) -> Any:
        logits = logits_in_place(row)
        seen.append(logits.copy())
        return logits

    with mock.patch.object(engine._backbone, "logits_in_place", look):
        list(engine.generate([*history, Message("user", text), Message("assistant", begun)], mix, sampling))
    second, best = np.sort(seen[0])[-2:]
    return float(best - second)
