"""Trains the router: embeddings and labels → calibrated mini-MLP. One recipe for the bundled and for any other router.

    trained = train_router(embeddings, labels)
    trained.write(Path("router.onnx"), encoder_name="all-MiniLM-L6-v2")

The recipe, measured on CLINC150 and BANKING77 (a tenth of the training rows held out, and the valid rows):

- `Shape.members` MLPs that differ in their first weights, and every other one sees the embeddings whitened within their
  labels. The mean of their logits is the logits of one wider MLP, whitening included, and that is what is kept.
- A kernel density over anchors, centres of each label's rows, added to the logits: +0.4 points on BANKING77, where rows
  are few and much alike, and better out-of-scope recall.
- The temperature (Guo et al. 2017, arXiv 1706.04599) of held-out rows, folded into the weights.
- `base` is raised as if at least `BASE_SHARE` of all messages belonged to no adapter, however few of the rows do.

Needs the `router` extra, whose packages are imported where they are used: this module imports without it.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE
from dlp_local.routing.prototypes import Prototypes
from dlp_local.training.router.mlp import Weights, fit
from dlp_local.training.router.write import Network, write_router

MAX_PARAMETERS = 5_000_000
"""The paper's bound on the mini-MLP."""

ROWS_PER_HIDDEN = 8
FEWEST_HIDDEN = 128
"""A member has a hidden number for `ROWS_PER_HIDDEN` rows, these at least and `Shape.hidden` at most."""

SHRINKAGE = 0.3
"""How far the covariance within labels is drawn to a multiple of the identity before it is inverted."""

BASE_SHARE = 0.1
ANCHORS = 10
"""Rows for each anchor of a label, and the least number of anchors, where there are as many rows."""

ANCHOR_NUMBERS = 2_000_000
"""Numbers of all anchors together at most."""

FIT_ANCHORS_ON = 4_000
"""Rows of a label that its anchors are found on, at most."""

ROUNDS = 15
"""Rounds of k-means."""

KERNEL_WEIGHT = 0.3
FEW = 30
"""Held-out rows under which the temperature stays 1."""

BINS = 15
"""Bins of equal width for the expected calibration error."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a router may be: `hidden` numbers of each of its members, `anchors` of a label."""

    members: int = 4
    hidden: int = 1024
    dropout: float = 0.6
    """The share of a member's hidden numbers that a step of its training leaves out: less where there are few."""

    anchors: int = 64


LARGE = Shape()


@dataclass(frozen=True, slots=True)
class TrainedRouter:
    """A router and its figures on held-out rows.

    They are measured crosswise: each half of the held-out rows by what was fitted on the other one.
    """

    network: Network
    labels: tuple[str, ...]
    prototypes: Prototypes
    rows: int
    temperature: float
    accuracy: float
    calibration_error_before: float
    calibration_error: float

    def probabilities(self, embeddings: Floats) -> npt.NDArray[np.float64]:
        """Embeddings (n, d) → probabilities (n, labels), as the file gives them."""
        return softmax(self.network.logits(embeddings))

    def write(self, path: Path, encoder_name: str) -> None:
        """Writes the router as ONNX."""
        metadata = {"encoder": encoder_name, "rows": str(self.rows)}
        write_router(self.network, self.labels, self.prototypes, path, metadata)


def train_router(
    embeddings: Floats,
    labels: Sequence[str],
    *,
    held_out: tuple[Floats, Sequence[str]],
    remembered: Mapping[str, int] = MappingProxyType({}),
    shape: Shape = LARGE,
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> TrainedRouter:
    """Trains on embeddings (n, d) of unit length with n labels; `held_out` is (embeddings (m, d), m labels), m ≥ 0.

    `remembered`: of how many rows of a label each is another router's anchor; the label has as many anchors again.
    Held-out rows with labels that are not trained on do not count. Raises `InputError` for fewer than two labels, for
    so many that the network would pass `MAX_PARAMETERS`, and where onnx or threadpoolctl is missing.
    """
    check_installed()
    x, names = np.ascontiguousarray(embeddings, np.float32), np.unique(np.asarray(labels))
    y = np.searchsorted(names, np.asarray(labels))
    if len(names) < 2:
        raise InputError("router: all rows have the same label. Give rows of two labels at least.")
    if len(names) * (x.shape[1] + len(names)) > ANCHOR_NUMBERS:
        raise InputError(f"router: {len(names):,} labels are too many for {MAX_PARAMETERS:,} parameters.")
    wanted = min(shape.hidden, max(FEWEST_HIDDEN, len(x) // ROWS_PER_HIDDEN))
    hidden = min(wanted, (MAX_PARAMETERS - ANCHOR_NUMBERS) // (shape.members * (x.shape[1] + len(names) + 2)))
    mlp = _mlp(x, y, len(names), replace(shape, hidden=hidden), seed, _part(progress, 0, 0.9))
    least = [max(ANCHORS, remembered.get(str(name), 0)) for name in names]
    anchors, shares = _anchors(x, y, least, shape.anchors, seed, _part(progress, 0.9, 0.1))
    raw = Network(*mlp, anchors=anchors, shares=shares, kernel_weight=KERNEL_WEIGHT)

    labels_held = np.asarray(held_out[1], dtype=object).astype(str)
    known = np.isin(labels_held, names)
    x_held, y_held = np.asarray(held_out[0], np.float32)[known], np.searchsorted(names, labels_held[known])
    logits = raw.logits(x_held) if len(x_held) else np.zeros((0, len(names)))
    is_base = names == BASE
    offset = np.where(is_base, _base_shift(float(is_base[y].mean())), 0.0) if is_base.any() else np.zeros(len(names))
    crosswise = _crosswise(logits, y_held, offset)
    temperature = _fitted(logits, y_held)
    progress(1.0)
    return TrainedRouter(
        network=_folded(raw, temperature, offset),
        labels=tuple(map(str, names)),
        prototypes=Prototypes.of({str(name): x[y == index] for index, name in enumerate(names)}, x.shape[1]),
        rows=len(x),
        temperature=temperature,
        accuracy=accuracy(crosswise, y_held),
        calibration_error_before=calibration_error(softmax(logits + offset), y_held),
        calibration_error=calibration_error(crosswise, y_held),
    )


def check_installed() -> None:
    """Raises `InputError` where what training needs is not installed."""
    try:
        import onnx
        import threadpoolctl
    except ImportError as error:
        raise InputError(f"training a router needs {error.name}: pip install 'dlp-local[router]'") from None
    del onnx, threadpoolctl


def _mlp(x: Floats, y: Indices, labels: int, shape: Shape, seed: int, progress: Progress) -> Weights:
    """Weights of one MLP whose logits are the mean of its members'."""
    from threadpoolctl import threadpool_limits

    members = shape.members
    views = np.eye(x.shape[1], dtype=np.float32), _whitening(x, y, labels)
    shares, telling, ended = [0.0] * members, threading.Lock(), threading.Event()

    def trained(member: int) -> Weights:
        def told(done: float) -> None:
            if ended.is_set():
                raise CancelledError
            with telling:
                shares[member] = done
                progress(sum(shares) / members)

        view = views[member % 2]
        seen = x @ view
        scale = np.float32(1 / max(float(seen.std()), 1e-6))
        w1, b1, w2, b2 = fit(seen * scale, y, labels, shape.hidden, shape.dropout, seed * members + member, told)
        return view @ w1 * scale, b1, w2 / np.float32(members), b2 / np.float32(members)

    # A thread for each member; several threads inside a small product of matrices mostly wait for each other.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(members, os.cpu_count() or 1)) as pool:
        try:
            w1s, b1s, w2s, b2s = zip(*pool.map(trained, range(members)), strict=True)
        finally:
            ended.set()  # where one fails, or the user ends it, the others end too
    return np.hstack(w1s), np.concatenate(b1s), np.vstack(w2s), np.sum(b2s, axis=0, dtype=np.float32)


def _part(progress: Progress, start: float, share: float) -> Progress:
    """What tells the progress of a part of the work as progress of the whole."""
    return lambda done: progress(start + done * share)


def _whitening(x: Floats, y: Indices, labels: int) -> Floats:
    """W (d, d) such that the rows of x·W have about unit covariance around the mean of their label."""
    sums = np.zeros((labels, x.shape[1]))
    np.add.at(sums, y, x)
    within = x - (sums / np.bincount(y, minlength=labels)[:, None])[y]
    covariance = within.T @ within / len(x)
    spread = max(float(np.trace(covariance)) / len(covariance), 1e-9)
    values, axes = np.linalg.eigh((1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance)))
    return np.asarray(axes / np.sqrt(values), np.float32)


def _anchors(
    x: Floats, y: Indices, least: Sequence[int], most: int, seed: int, progress: Progress
) -> tuple[Floats, Floats]:
    """Anchors (m, d) of unit length, and the part of its label's rows that each stands for (m, labels).

    A label has `most` at most, and its `least` where it has as many rows.
    """
    rng, labels = np.random.default_rng(seed), len(least)
    most = max(1, min(most, ANCHOR_NUMBERS // (labels * (x.shape[1] + labels))))
    centres, shares = [], []
    for label in range(labels):
        rows = x[y == label]
        if len(rows) > FIT_ANCHORS_ON:
            rows = rows[rng.choice(len(rows), FIT_ANCHORS_ON, replace=False)]
        wanted = min(most, len(rows), max(math.ceil(len(rows) / ANCHORS), least[label]))
        found, sizes = _k_means(rows, wanted, rng)
        part = np.zeros((len(found), labels), np.float32)
        part[:, label] = sizes / sizes.sum()
        centres.append(found)
        shares.append(part)
        progress((label + 1) / labels)
    return np.concatenate(centres), np.concatenate(shares)


def _k_means(rows: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, Indices]:
    """Centres (k, d) of unit length of unit vectors, none empty, and how many rows each has; k ≤ `count`."""
    centres = rows[rng.choice(len(rows), count, replace=False)]
    for _ in range(ROUNDS if count < len(rows) else 1):
        nearest = (rows @ centres.T).argmax(axis=1)
        used, nearest = np.unique(nearest, return_inverse=True)
        sums = np.zeros((len(used), rows.shape[1]), np.float32)
        np.add.at(sums, nearest, rows)
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return centres, np.bincount(nearest, minlength=len(centres))


def _base_shift(share: float) -> float:
    """What lifts the log odds of `base` from its share of the rows to `BASE_SHARE`, where it has less."""
    if share >= BASE_SHARE:
        return 0.0
    return math.log(BASE_SHARE / (1 - BASE_SHARE)) - math.log(share / (1 - share))


def _fitted(logits: npt.NDArray[Any], truth: Indices) -> float:
    """The temperature that makes the truth most likely, where there are rows enough to tell."""
    return best_temperature(logits, truth) if len(truth) >= FEW else 1.0


def _crosswise(logits: npt.NDArray[Any], truth: Indices, offset: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities of held-out rows (m, labels), each half under the temperature of the other."""
    found = np.zeros(logits.shape)
    halves = [np.arange(len(truth)) % 2 == side for side in (0, 1)]
    for half, other in (halves, halves[::-1]):
        found[half] = softmax(logits[half] / _fitted(logits[other], truth[other]) + offset)
    return found


def _folded(raw: Network, temperature: float, offset: npt.NDArray[Any]) -> Network:
    """The network whose softmax has the temperature and the offset in it."""
    return replace(
        raw,
        w2=(raw.w2 / temperature).astype(np.float32),
        b2=(raw.b2 / temperature + offset).astype(np.float32),
        kernel_weight=raw.kernel_weight / temperature,
    )


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Of each row: exp zᵢ / Σ exp z."""
    shifted = np.asarray(logits, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def loss(logits: npt.NDArray[Any], truth: Indices) -> float:
    """The mean negative log-likelihood of true labels (n,) under logits (n, labels)."""
    peak = logits.max(axis=1)
    spread = np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return float((peak + spread - logits[np.arange(len(truth)), truth]).mean())


def best_temperature(logits: npt.NDArray[Any], truth: Indices) -> float:
    """The T from 1/8 to 8 that minimises the negative log-likelihood of softmax(z / T).

    It has one optimum in 1/T, found by golden-section search.
    """
    ratio = (math.sqrt(5) - 1) / 2
    low, high = -math.log(8), math.log(8)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        better = loss(logits / math.exp(left), truth) < loss(logits / math.exp(right), truth)
        low, high = (low, right) if better else (left, high)
    return math.exp((low + high) / 2)


def accuracy(probabilities: npt.NDArray[Any], truth: Indices) -> float:
    """The share of rows whose most probable label is the true one; 0 for no rows."""
    return float((probabilities.argmax(axis=1) == truth).mean()) if len(truth) else 0.0


def calibration_error(probabilities: npt.NDArray[Any], truth: Indices) -> float:
    """Expected calibration error: Σ over bins of (share of rows) · |accuracy - mean confidence|, top-1; 0 for none."""
    if not len(truth):
        return 0.0
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = (abs(float((right[bins == b] - confidence[bins == b]).sum())) for b in np.unique(bins))
    return sum(gaps) / len(truth)
