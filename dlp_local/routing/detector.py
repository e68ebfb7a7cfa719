"""A detector: the odds that a message belongs to one adapter that came after the router was trained.

It is a router's file with a label more, `OWN`, for the adapter itself; the others are what its messages were told from.
Only their odds count, so no new adapter changes the order of the others:

    odds = p_own / (1 - p_own),   p(adapter) = odds / (1 + Σ odds),   p(any other label) = its p / (1 + Σ odds)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import PackError
from dlp_local.routing.onnx_session import NEXT_STEP
from dlp_local.routing.router import Router

OWN = "*"
"""The label of a detector's own adapter: no adapter can have this name."""

MOST_ODDS = 1e6

Floats = npt.NDArray[np.float32]


def odds(own: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The odds p / (1 - p) of probabilities p (n,), at most `MOST_ODDS`."""
    p = own.astype(np.float64)
    return np.asarray(np.minimum(p / np.maximum(1 - p, 1 / MOST_ODDS), MOST_ODDS))


class Detector:
    """The detector of one adapter."""

    def __init__(self, model: Path, dims: int, threads: int) -> None:
        """Loads the file; raises `PackError` where it is missing, damaged, or for embeddings of another length."""
        self._router = Router(model, threads)
        if OWN not in self._router.labels:
            raise PackError(f"{model}: is a router, and no detector of one adapter. {NEXT_STEP}")
        if self._router.dims != dims:
            raise PackError(f"{model}: takes {self._router.dims} numbers, and the encoder gives {dims}. {NEXT_STEP}")
        self._own = self._router.labels.index(OWN)

    def odds(self, embeddings: Floats) -> npt.NDArray[np.float64]:
        """Embeddings (n, dims) → odds (n,) that each message is the adapter's, at most `MOST_ODDS`."""
        return odds(self._router.probabilities(embeddings)[:, self._own])
