"""Anchors of a kernel density: k-means centers of each label's rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

ROWS_PER_ANCHOR = 10
FEWEST_ANCHORS = 10
"""A label has an anchor for `ROWS_PER_ANCHOR` rows, and this many at least, where it has as many rows."""

MAX_NUMBERS = 2_000_000
"""Numbers of all anchors and their shares together at most."""

CLUSTERED_ROWS = 4_000
"""Rows of a label that its anchors are found on, at most."""

ITERATIONS = 15
"""Of k-means."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


def find_anchors(
    x: Floats, y: Indices, fewest: Sequence[int], most: int, seed: int, progress: Callable[[float], None]
) -> tuple[Floats, Floats]:
    """Anchors (m, d) of unit length of rows (n, d) with labels (n,), and their shares (m, labels).

    A share is the part of its label's rows that an anchor stands for. A label has `most` anchors at most, and its
    `fewest` at least where it has as many rows.
    """
    rng, labels = np.random.default_rng(seed), len(fewest)
    most = max(1, min(most, MAX_NUMBERS // (labels * (x.shape[1] + labels))))
    anchors, shares = [], []
    for label in range(labels):
        rows = x[y == label]
        if len(rows) > CLUSTERED_ROWS:
            rows = rows[rng.choice(len(rows), CLUSTERED_ROWS, replace=False)]
        count = min(most, len(rows), max(math.ceil(len(rows) / ROWS_PER_ANCHOR), fewest[label]))
        centers, sizes = _k_means(rows, count, rng)
        share = np.zeros((len(centers), labels), np.float32)
        share[:, label] = sizes / sizes.sum()
        anchors.append(centers)
        shares.append(share)
        progress((label + 1) / labels)
    return np.concatenate(anchors), np.concatenate(shares)


def _k_means(rows: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, Indices]:
    """Centers (k, d) of unit length of unit vectors, none empty, and how many rows each has; k ≤ `count`."""
    centers = rows[rng.choice(len(rows), count, replace=False)]
    for _ in range(ITERATIONS if count < len(rows) else 1):
        nearest = (rows @ centers.T).argmax(axis=1)
        used, nearest = np.unique(nearest, return_inverse=True)
        sums = np.zeros((len(used), rows.shape[1]), np.float32)
        np.add.at(sums, nearest, rows)
        centers = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return centers, np.bincount(nearest, minlength=len(centers))
