"""How the router does on the rows that say whose they are: right, confused with what, and as sure as it says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlp_local.evaluation.row import EvalRow
from dlp_local.training.router.metrics import BINS, figures


def routing_figures(rows: Sequence[EvalRow], probabilities: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | None:
    """The figures as JSON has them, of the rows with an adapter; None where no row has one.

    `bins` are those of the calibration error that have rows: how many, how sure the router is of them in the mean, and
    the share that it routes right. `chosen` has, for each right adapter, how many rows went where.
    """
    judged = sorted((row for row in rows if row.adapter is not None), key=lambda row: row.identity)
    if not judged:
        return None
    labels = sorted({name for row in judged for name in probabilities[row.identity]})
    matrix = np.array([[probabilities[row.identity].get(label, 0.0) for label in labels] for row in judged])
    truth = [str(row.adapter) for row in judged]
    best = [labels[index] for index in matrix.argmax(axis=1)]
    chosen = defaultdict[str, Counter[str]](Counter)
    for right, label in zip(truth, best, strict=True):
        chosen[right][label] += 1
    found = figures(matrix, labels, truth).as_dict()
    del found["background_share"]  # messages of nobody's are no rows of an evaluation
    is_right = np.array([right == label for right, label in zip(truth, best, strict=True)])
    return found | {
        "bins": _bins(matrix.max(axis=1), is_right),
        "chosen": {right: dict(sorted(counts.items())) for right, counts in sorted(chosen.items())},
    }


def _bins(sure: Any, is_right: Any) -> list[dict[str, Any]]:
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return [
        {
            "from": round(number / BINS, 6),
            "to": round((number + 1) / BINS, 6),
            "rows": int((bins == number).sum()),
            "sure": round(float(sure[bins == number].mean()), 6),
            "right": round(float(is_right[bins == number].mean()), 6),
        }
        for number in np.unique(bins).tolist()
    ]
