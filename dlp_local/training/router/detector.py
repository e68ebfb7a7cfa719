"""Fits the detector of one adapter: its own messages against those that are known of all others.

As `fit` fits a router, with a label for each of the others: what tells their messages apart tells them from the new
ones, too. On 14 of the tasks of `tools.bench.training_routing` that are hard to tell from an adapter of the pack, known
by 40 rows, one that told them from all others as one label lost these twice as many messages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dlp_local.routing.detector import OWN, odds
from dlp_local.training.router.fit import Shape, TrainedRouter, fit_router

SHAPE = Shape(members=2, hidden=128, dropout=0.5, anchors=64)
Floats = npt.NDArray[np.float32]


def fit_detector(own: Floats, others: Floats, owners: Sequence[str], background: Floats) -> TrainedRouter:
    """A router with the label `OWN` for messages embedded as (n, d), and those of `others` (m, d), by their owners.

    `background` (b, d) are nobody's.
    """
    return fit_router(
        np.concatenate([own, others]),
        [*[OWN] * len(own), *owners],
        held_out=(own[:0], ()),
        background=background,
        rehearsed={OWN: len(own)},
        shape=SHAPE,
    )


def own_odds(detector: TrainedRouter, embeddings: Floats) -> npt.NDArray[np.float64]:
    """Odds (n,) that messages embedded as (n, d) are the adapter's own."""
    return odds(detector.probabilities(embeddings)[:, detector.labels.index(OWN)])


def shifted(detector: TrainedRouter, log_odds: float) -> TrainedRouter:
    """A detector whose odds are e^`log_odds` times as great."""
    offset = np.where([label == OWN for label in detector.labels], log_odds, 0.0)
    return dataclasses.replace(detector, network=detector.network.calibrated(1.0, offset))
