"""Trains the router: embeddings and labels → calibrated mini-MLP. One recipe for the bundled and for any other router.

    trained = train_router(embeddings, labels)
    trained.write(Path("router.onnx"), encoder_name="all-MiniLM-L6-v2")

The recipe, each step measured on CLINC150 and BANKING77 (cross-validated, `docs/routing.md`):

- `MEMBERS` MLPs of scikit-learn that differ in their first weights and order of rows. The mean of their logits is the
  logits of one wider MLP, which is what is kept: +0.4 points of accuracy over one of them, no forest of files.
- A kernel density over anchors, centres of each label's rows, added to the logits: +0.6 points on BANKING77, where rows
  are few and much alike, and better out-of-scope recall.
- How much the density weighs, and the temperature (Guo et al. 2017, arXiv 1706.04599), by the likelihood of held-out
  rows; both are folded into the weights.
- `base` is raised as if at least `BASE_SHARE` of all messages belonged to no adapter, however few of the rows do.

Needs the `router` extra. scikit-learn and onnx are imported where they are used, so this module imports without them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.errors import InputError
from dlp_local.records import BASE
from dlp_local.routing.prototypes import Prototypes
from dlp_local.routing.router_file import Network, write_router

MAX_PARAMETERS = 5_000_000
"""The paper's bound on the mini-MLP."""

MEMBERS = 4
HIDDEN = 1024
EPOCHS = 8
"""Passes over the rows; more where the rows are few, so that there are `STEPS` steps."""

STEPS = 400
BATCH = 256
BASE_SHARE = 0.1
ANCHORS = 10
"""Rows for each anchor."""

MOST_ANCHORS = 64
"""Anchors of one label at most; `ANCHOR_NUMBERS` bounds those of all together."""

ANCHOR_NUMBERS = 2_000_000
FIT_ANCHORS_ON = 4_000
"""Rows of a label that its anchors are found on, at most."""

KERNEL_WEIGHTS = (0.0, 0.15, 0.3, 0.6)
USUAL_KERNEL_WEIGHT = 0.3
FEW = 30
"""Held-out rows under which neither weight nor temperature is fitted."""

BINS = 15
"""Bins of equal width for the expected calibration error."""

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""


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
        network = self.network
        return softmax(network.mlp(embeddings) + network.kernel_weight * network.density(embeddings))

    def write(self, path: Path, encoder_name: str) -> None:
        """Writes the router as ONNX."""
        metadata = {"encoder": encoder_name, "rows": str(self.rows)}
        write_router(self.network, self.labels, self.prototypes, path, metadata)


def train_router(
    embeddings: Floats,
    labels: Sequence[str],
    *,
    held_out: tuple[Floats, Sequence[str]],
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> TrainedRouter:
    """Trains on embeddings (n, d) of unit length with n labels; `held_out` is (embeddings (m, d), m labels), m ≥ 0.

    Held-out rows with labels that are not trained on do not count. Raises `InputError` for fewer than two labels, for
    so many that the network would pass `MAX_PARAMETERS`, and where scikit-learn or onnx is missing.
    """
    check_installed()
    x, names = np.ascontiguousarray(embeddings, np.float32), np.unique(np.asarray(labels))
    y = np.searchsorted(names, np.asarray(labels))
    if len(names) < 2:
        raise InputError("router: all rows have the same label. Give rows of two labels at least.")
    if len(names) * (x.shape[1] + len(names)) > ANCHOR_NUMBERS:
        raise InputError(f"router: {len(names):,} labels are too many for {MAX_PARAMETERS:,} parameters.")
    hidden = min(HIDDEN, (MAX_PARAMETERS - ANCHOR_NUMBERS) // (MEMBERS * (x.shape[1] + len(names) + 2)))
    mlp = _mlp(x, y, len(names), hidden, seed, lambda done: progress(0.9 * done))
    anchors, shares = _anchors(x, y, len(names), seed, lambda done: progress(0.9 + 0.1 * done))
    raw = Network(*mlp, anchors, shares, USUAL_KERNEL_WEIGHT)

    labels_held = np.asarray(held_out[1], dtype=object).astype(str)
    known = np.isin(labels_held, names)
    x_held, y_held = np.asarray(held_out[0], np.float32)[known], np.searchsorted(names, labels_held[known])
    base = np.flatnonzero(names == BASE)
    shift = _base_shift(float((y == base[0]).mean())) if len(base) else 0.0
    offset = np.where(names == BASE, shift, 0.0)
    parts = (raw.mlp(x_held), raw.density(x_held)) if len(x_held) else (np.zeros((0, len(names))),) * 2
    before = softmax(parts[0] + USUAL_KERNEL_WEIGHT * parts[1])
    crosswise = _crosswise(parts, y_held, offset)
    weight, temperature = _fitted(parts, y_held)
    progress(1.0)
    return TrainedRouter(
        network=_folded(raw, weight, temperature, offset),
        labels=tuple(map(str, names)),
        prototypes=Prototypes.of({str(name): x[y == index] for index, name in enumerate(names)}, x.shape[1]),
        rows=len(x),
        temperature=temperature,
        accuracy=accuracy(crosswise, y_held),
        calibration_error_before=calibration_error(before, y_held),
        calibration_error=calibration_error(crosswise, y_held),
    )


def check_installed() -> None:
    """Raises `InputError` where what training needs is not installed."""
    try:
        import onnx
        import sklearn
    except ImportError as error:
        raise InputError(f"training needs {error.name}: pip install 'dlp-local[router]'") from None
    del onnx, sklearn


def _mlp(x: Floats, y: Indices, count: int, hidden: int, seed: int, progress: Progress) -> tuple[Floats, ...]:
    """Weights of one MLP whose logits are the mean of its members'.

    Embeddings of unit length are scaled to unit variance for the training, and the first weights instead afterwards.
    """
    from sklearn.neural_network import MLPClassifier

    scale = np.float32(math.sqrt(x.shape[1]))
    scaled, batch = x * scale, max(8, min(BATCH, len(x) // 8))
    epochs = max(EPOCHS, math.ceil(STEPS * batch / len(x)))
    members = []
    for member in range(MEMBERS):
        classifier = MLPClassifier((hidden,), batch_size=min(batch, len(x)), random_state=seed * MEMBERS + member)
        for epoch in range(epochs):
            classifier.partial_fit(scaled, y, classes=np.arange(count))
            progress((member + (epoch + 1) / epochs) / MEMBERS)
        (w1, w2), (b1, b2) = classifier.coefs_, classifier.intercepts_
        if count == 2:  # one logit, that of the second label
            w2, b2 = np.hstack([np.zeros_like(w2), w2]), np.array([0, b2[0]])
        members.append((w1 * scale, b1, w2 / MEMBERS, b2 / MEMBERS))
    w1, b1, w2, b2 = zip(*members, strict=True)
    merged = np.hstack(w1), np.concatenate(b1), np.vstack(w2), np.sum(b2, axis=0)
    return tuple(np.ascontiguousarray(part, np.float32) for part in merged)


def _anchors(x: Floats, y: Indices, count: int, seed: int, progress: Progress) -> tuple[Floats, Floats]:
    """Anchors (m, d) of unit length, and the part of its label's rows that each stands for (m, labels)."""
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(seed)
    most = max(1, min(MOST_ANCHORS, ANCHOR_NUMBERS // (count * (x.shape[1] + count))))
    centres, shares = [], []
    for label in range(count):
        rows = x[y == label]
        if len(rows) > FIT_ANCHORS_ON:
            rows = rows[rng.choice(len(rows), FIT_ANCHORS_ON, replace=False)]
        wanted = min(most, max(math.ceil(len(rows) / ANCHORS), min(len(rows), ANCHORS)))
        if wanted < len(rows):
            fitted = KMeans(wanted, n_init=1, max_iter=20, random_state=seed).fit(rows)
            found, sizes = fitted.cluster_centers_, np.bincount(fitted.labels_, minlength=wanted)
        else:
            found, sizes = rows, np.ones(len(rows))
        centres.append(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))
        part = np.zeros((len(found), count))
        part[:, label] = sizes / sizes.sum()
        shares.append(part)
        progress((label + 1) / count)
    return np.concatenate(centres).astype(np.float32), np.concatenate(shares).astype(np.float32)


def _base_shift(share: float) -> float:
    """What lifts the log odds of `base` from its share of the rows to `BASE_SHARE`, where it has less."""
    if share >= BASE_SHARE:
        return 0.0
    return math.log(BASE_SHARE / (1 - BASE_SHARE)) - math.log(share / (1 - share))


def _fitted(parts: tuple[npt.NDArray[Any], npt.NDArray[Any]], truth: Indices) -> tuple[float, float]:
    """The weight of the density and the temperature that make the truth most likely."""
    if len(truth) < FEW:
        return USUAL_KERNEL_WEIGHT, 1.0
    found = []
    for weight in KERNEL_WEIGHTS:
        logits = parts[0] + weight * parts[1]
        temperature = best_temperature(logits, truth)
        found.append((loss(logits / temperature, truth), weight, temperature))
    _, weight, temperature = min(found)
    return weight, temperature


def _crosswise(
    parts: tuple[npt.NDArray[Any], npt.NDArray[Any]], truth: Indices, offset: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Probabilities of held-out rows (m, labels), each half by what was fitted on the other."""
    found = np.zeros(parts[0].shape)
    halves = [np.arange(len(truth)) % 2 == side for side in (0, 1)]
    for half, other in (halves, halves[::-1]):
        weight, temperature = _fitted((parts[0][other], parts[1][other]), truth[other])
        found[half] = softmax((parts[0][half] + weight * parts[1][half]) / temperature + offset)
    return found


def _folded(raw: Network, weight: float, temperature: float, offset: npt.NDArray[Any]) -> Network:
    """The network whose softmax has the temperature and the offset in it."""
    return replace(
        raw,
        w2=(raw.w2 / np.float32(temperature)).astype(np.float32),
        b2=(raw.b2 / np.float32(temperature) + offset).astype(np.float32),
        kernel_weight=weight / temperature,
    )


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """exp zᵢ / Σ exp z of each row."""
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
