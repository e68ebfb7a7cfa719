"""Perceptrons of one hidden layer, trained with numpy, and an ensemble of them as one.

Adam, dropout, a learning rate that falls to 0. scikit-learn's `MLPClassifier` was measured in their place, with as many
members and anchors, on the training and valid rows of BANKING77 and CLINC150: it has no dropout, and is 1.2 and 0.2
points less accurate.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

RATE = 3e-3
WARM_UP = 50
"""Steps in which the learning rate rises."""

BATCH = 256
EPOCHS = 12
"""Passes over the rows; more where the rows are few, so that there are `STEPS` steps at least."""

STEPS = 400
SHRINKAGE = 0.3
"""How far the covariance within labels is drawn to a multiple of the identity before it is inverted."""

_B1, _B2, _TINY = 0.9, 0.999, 1e-8

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Progress = Callable[[float], None]
Weights = tuple[Floats, Floats, Floats, Floats]


def train_ensemble(
    x: Floats, y: Indices, labels: int, members: int, hidden: int, dropout: float, seed: int, progress: Progress
) -> Weights:
    """Weights of one MLP whose logits are the mean of `members` MLPs' of `hidden` numbers each, as `train_mlp`'s.

    The members differ in their first weights, and every other one sees the rows whitened within their labels.
    """
    views = np.eye(x.shape[1], dtype=np.float32), _whitening(x, y, labels)
    shares, reporting, ended = [0.0] * members, threading.Lock(), threading.Event()

    def train_member(member: int) -> Weights:
        def report(share: float) -> None:
            if ended.is_set():
                raise CancelledError
            with reporting:
                shares[member] = share
                progress(sum(shares) / members)

        view = views[member % 2]
        seen = x @ view
        scale = np.float32(1 / max(float(seen.std()), 1e-6))
        w1, b1, w2, b2 = train_mlp(seen * scale, y, labels, hidden, dropout, seed * members + member, report)
        return view @ w1 * scale, b1, w2 / np.float32(members), b2 / np.float32(members)

    # A thread for each member; several threads inside a small product of matrices mostly wait for each other.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(members, os.cpu_count() or 1)) as pool:
        try:
            w1s, b1s, w2s, b2s = zip(*pool.map(train_member, range(members)), strict=True)
        finally:
            ended.set()  # where one fails, or the user ends it, the others end too
    return np.hstack(w1s), np.concatenate(b1s), np.vstack(w2s), np.sum(b2s, axis=0, dtype=np.float32)


def _whitening(x: Floats, y: Indices, labels: int) -> Floats:
    """W (d, d) such that the rows of x·W have about unit covariance around the mean of their label."""
    sums = np.zeros((labels, x.shape[1]))
    np.add.at(sums, y, x)
    within = x - (sums / np.bincount(y, minlength=labels)[:, None])[y]
    covariance = within.T @ within / len(x)
    spread = max(float(np.trace(covariance)) / len(covariance), 1e-9)
    values, axes = np.linalg.eigh((1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance)))
    return np.asarray(axes / np.sqrt(values), np.float32)


def train_mlp(
    x: Floats, y: Indices, labels: int, hidden: int, dropout: float, seed: int, progress: Progress
) -> Weights:
    """Weights w1 (d, hidden), b1, w2 (hidden, labels), b2 of logits = relu(x·w1 + b1)·w2 + b2.

    Inputs (n, d) should have a variance of about 1. The same seed gives the same weights on the same machine.
    """
    rng = np.random.default_rng(seed)
    dims = x.shape[1]
    w1 = (rng.standard_normal((dims, hidden), np.float32) * np.float32(math.sqrt(2 / dims))).astype(np.float32)
    w2 = (rng.standard_normal((hidden, labels), np.float32) * np.float32(math.sqrt(1 / hidden))).astype(np.float32)
    weights = w1, np.zeros(hidden, np.float32), w2, np.zeros(labels, np.float32)
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    batch = max(1, min(BATCH, len(x) // 8))
    batches = math.ceil(len(x) / batch)
    steps = batches * max(EPOCHS, math.ceil(STEPS / batches))
    order = np.arange(len(x))
    for step in range(steps):
        at = step % batches
        if at == 0:
            order = rng.permutation(len(x))
            progress(step / steps)
        rows = order[at * batch : (at + 1) * batch]
        gradients = _gradients(weights, x[rows], y[rows], np.float32(dropout), rng)
        rate = RATE * min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
        rate *= math.sqrt(1 - _B2 ** (step + 1)) / (1 - _B1 ** (step + 1))
        for weight, gradient, mean, square in zip(weights, gradients, means, squares, strict=True):
            mean += (1 - _B1) * (gradient - mean)
            square += (1 - _B2) * (gradient * gradient - square)
            weight -= rate * mean / (np.sqrt(square) + _TINY)
    progress(1.0)
    return weights


def _gradients(weights: Weights, x: Floats, y: Indices, dropout: np.float32, rng: np.random.Generator) -> Weights:
    """Of the mean cross-entropy of rows (n, d) with labels (n,), a share `dropout` of the hidden numbers left out."""
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1 + b1, 0)
    kept = (rng.random(hidden.shape, np.float32) > dropout) / (1 - dropout)
    hidden *= kept
    logits = hidden @ w2 + b2
    error = np.exp(logits - logits.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(y)), y] -= 1
    error /= len(y)
    back = error @ w2.T * (hidden > 0) * kept
    return x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)
