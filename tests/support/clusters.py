"""Embeddings of a few overlapping labels."""

import numpy as np

LABELS = ("base", "shell", "sql")


def clusters(rows, seed, spread=1.0):
    """Overlapping clouds of points on the sphere, and the label of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(3, 16))
    index = rng.integers(0, 3, rows)
    points = centres[index] * 0.4 + spread * rng.normal(size=(rows, 16))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit.astype(np.float32), [LABELS[i] for i in index]
