"""Logits → probabilities that can be believed: temperature scaling (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

SPREAD = 0.5
"""Standard deviation of log T before any row is seen: where all rows are right, more confidence is always likelier."""

FEWEST_ROWS = 30
"""Held-out rows under which the temperature stays 1."""

Indices = npt.NDArray[np.intp]


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Of each row: exp zᵢ / Σ exp z."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def negative_log_likelihood(logits: npt.NDArray[Any], truth: Indices) -> float:
    """The mean of true labels (n,) under logits (n, labels)."""
    peak = logits.max(axis=1)
    spread = np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return float((peak + spread - logits[np.arange(len(truth)), truth]).mean())


def best_temperature(logits: npt.NDArray[Any], truth: Indices) -> float:
    """The most likely T from 1/8 to 8 of softmax(z / T), given rows (n, labels) and a log-normal prior around 1.

    Found by golden-section search. 1 for fewer than `FEWEST_ROWS` rows.
    """
    if len(truth) < FEWEST_ROWS:
        return 1.0

    def loss(log_temperature: float) -> float:
        likelihood = negative_log_likelihood(logits / math.exp(log_temperature), truth)
        return likelihood + (log_temperature / SPREAD) ** 2 / (2 * len(truth))

    ratio = (math.sqrt(5) - 1) / 2
    low, high = -math.log(8), math.log(8)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def cross_fitted(logits: npt.NDArray[Any], truth: Indices, offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities of held-out rows (m, labels), each half under the temperature that was fitted on the other."""
    probabilities = np.zeros(logits.shape)
    halves = [np.arange(len(truth)) % 2 == side for side in (0, 1)]
    for half, other in (halves, halves[::-1]):
        probabilities[half] = softmax(logits[half] / best_temperature(logits[other], truth[other]) + offset)
    return probabilities
