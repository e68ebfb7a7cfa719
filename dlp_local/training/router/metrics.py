"""How well a router does on rows whose adapters are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.values import BASE

BINS = 15
"""Bins of equal width for the expected calibration error."""


def accuracy(probabilities: npt.NDArray[Any], truth: npt.NDArray[np.intp]) -> float:
    """The share of rows whose most probable label is the true one; 0 for no rows."""
    return float((probabilities.argmax(axis=1) == truth).mean()) if len(truth) else 0.0


def calibration_error(probabilities: npt.NDArray[Any], truth: npt.NDArray[np.intp]) -> float:
    """Expected calibration error: Σ over bins of (share of rows) · |accuracy - mean confidence|, top-1; 0 for none."""
    if not len(truth):
        return 0.0
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = (abs(float((is_right[bins == b] - confidence[bins == b]).sum())) for b in np.unique(bins))
    return sum(gaps) / len(truth)


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares from 0 to 1; `confusion` has (right adapter, chosen one, rows), the most frequent first."""

    rows: int
    accuracy: float
    calibration_error: float
    base_share: float
    """Of the rows that are not `base`'s, those that are sent to it."""

    base_recall: float | None
    """Of the rows that are `base`'s, those that are sent to it; None where there is none."""

    confusion: tuple[tuple[str, str, int], ...]
    background_share: float | None = None
    """Of messages that are nobody's, and were not trained on, those that are sent to an adapter; None: not measured."""

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {
            "rows": self.rows,
            "accuracy": round(self.accuracy, 6),
            "calibration_error": round(self.calibration_error, 6),
            "base_share": round(self.base_share, 6),
            "base_recall": None if self.base_recall is None else round(self.base_recall, 6),
            "background_share": None if self.background_share is None else round(self.background_share, 6),
            "confusion": [{"adapter": right, "as": chosen, "rows": n} for right, chosen, n in self.confusion],
        }


def figures(
    probabilities: npt.NDArray[Any],
    labels: Sequence[str],
    truth: Sequence[str],
    background: npt.NDArray[Any] | None = None,
) -> Figures:
    """From probabilities (n, labels) of n rows whose right labels are `truth`; n ≥ 1.

    A right label that is none of `labels` is always missed. `background` are the probabilities (b, labels) of messages
    that are nobody's.
    """
    index = {label: number for number, label in enumerate(labels)}
    right = np.array([index.get(label, -1) for label in truth])
    chosen = probabilities.argmax(axis=1)
    is_base = np.array([label == BASE for label in truth])
    to_base = chosen == index.get(BASE, -2)
    missed = Counter((truth[row], labels[chosen[row]]) for row in np.flatnonzero(chosen != right).tolist())
    return Figures(
        rows=len(truth),
        accuracy=float((chosen == right).mean()),
        calibration_error=calibration_error(probabilities, right),
        base_share=float(to_base[~is_base].mean()) if (~is_base).any() else 0.0,
        base_recall=float(to_base[is_base].mean()) if is_base.any() else None,
        background_share=None
        if background is None or not len(background)
        else float((background.argmax(axis=1) != index.get(BASE, -2)).mean()),
        confusion=tuple((*pair, rows) for pair, rows in sorted(missed.items(), key=lambda item: (-item[1], item[0]))),
    )
