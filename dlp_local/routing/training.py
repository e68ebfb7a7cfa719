"""Trains the router: embeddings and labels → calibrated mini-MLP → ONNX. Needs the `train` extra.

    trained = train_router(embeddings, labels)
    export_router(trained, Path("router.onnx"), encoder_name="all-MiniLM-L6-v2")

scikit-learn, skl2onnx and onnx are imported where they are used, so this module imports without them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.files import written_aside

MAX_PARAMETERS = 5_000_000
"""The paper's bound on the mini-MLP."""

BINS = 15
"""Bins of equal width for the expected calibration error."""

OPSET = {"": 18, "ai.onnx.ml": 3}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainedRouter:
    """A fitted `sklearn.neural_network.MLPClassifier`, its temperature folded in, and its figures on held-out rows."""

    classifier: Any
    labels: tuple[str, ...]
    temperature: float
    accuracy: float
    calibration_error_before: float
    calibration_error: float
    parameters: int


def train_router(
    embeddings: Floats,
    labels: Sequence[str],
    *,
    held_out: tuple[Floats, Sequence[str]] | float = 0.1,
    hidden: tuple[int, ...] = (256,),
    epochs: int = 60,
    seed: int = 0,
) -> TrainedRouter:
    """Fits an MLP on embeddings (n, d) with n labels, then its temperature on held-out rows.

    `held_out` is (embeddings (m, d), m labels), or the share of the rows, stratified, to hold out. The temperature T
    minimises the negative log-likelihood of softmax(z / T) (Guo et al. 2017, arXiv 1706.04599) and is folded into
    the last layer, so `classifier.predict_proba` is calibrated itself. Raises `ValueError` for a network over
    `MAX_PARAMETERS` and for fewer than two labels.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    x, y = np.asarray(embeddings, np.float32), np.asarray(labels)
    if isinstance(held_out, float):
        x, x_held, y, y_held = train_test_split(x, y, test_size=held_out, stratify=y, random_state=seed)
    else:
        x_held, y_held = np.asarray(held_out[0], np.float32), np.asarray(held_out[1])
    names = np.unique(y)
    sizes = [x.shape[1], *hidden, len(names)]
    parameters = sum((rows + 1) * columns for rows, columns in pairwise(sizes))
    if parameters > MAX_PARAMETERS or len(names) < 2:
        raise ValueError(f"router: {parameters:,} parameters for {len(names)} labels; at most 5 M, at least 2 labels")
    classifier = MLPClassifier(
        hidden, batch_size=min(256, len(x)), alpha=1e-4, max_iter=epochs, early_stopping=len(x) >= 1000,
        n_iter_no_change=6, random_state=seed,
    ).fit(x, y)  # fmt: skip

    truth = np.searchsorted(classifier.classes_, y_held)
    before = classifier.predict_proba(x_held)
    temperature = best_temperature(before, truth)
    classifier.coefs_[-1] /= np.float32(temperature)
    classifier.intercepts_[-1] /= np.float32(temperature)
    after = classifier.predict_proba(x_held)
    return TrainedRouter(
        classifier=classifier,
        labels=tuple(map(str, classifier.classes_)),
        temperature=temperature,
        accuracy=float((after.argmax(axis=1) == truth).mean()),
        calibration_error_before=calibration_error(before, truth),
        calibration_error=calibration_error(after, truth),
        parameters=parameters,
    )


def best_temperature(probabilities: npt.NDArray[Any], truth: npt.NDArray[np.intp]) -> float:
    """The T from 1/8 to 8 that minimises the negative log-likelihood of p^(1/T) / Σ p^(1/T).

    Probabilities (n, labels), indices of the true labels (n,). The likelihood has one optimum in 1/T, found by
    golden-section search.
    """
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-30))
    rows = np.arange(len(truth))

    def loss(log_t: float) -> float:
        scaled = logits / math.exp(log_t)
        peak = scaled.max(axis=1)
        return float((peak + np.log(np.exp(scaled - peak[:, None]).sum(axis=1)) - scaled[rows, truth]).mean())

    ratio = (math.sqrt(5) - 1) / 2
    low, high = -math.log(8), math.log(8)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def calibration_error(probabilities: npt.NDArray[Any], truth: npt.NDArray[np.intp]) -> float:
    """Expected calibration error: Σ over bins of (share of rows) · |accuracy - mean confidence|, top-1."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = (abs(float((right[bins == b] - confidence[bins == b]).sum())) for b in np.unique(bins))
    return sum(gaps) / len(truth)


def export_router(trained: TrainedRouter, path: Path, encoder_name: str) -> None:
    """Writes the router as ONNX: float32 (n, d) → `probabilities` (n, labels), labels and encoder in the metadata."""
    from onnx.helper import set_model_props
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    classifier = trained.classifier
    dims = classifier.coefs_[0].shape[0]
    model = to_onnx(
        classifier,
        initial_types=[("embeddings", FloatTensorType([None, dims]))],
        options={id(classifier): {"zipmap": False}},
        target_opset=OPSET,
    )
    model = select_model_inputs_outputs(model, "probabilities")
    set_model_props(model, {"labels": json.dumps(trained.labels), "encoder": encoder_name})
    with written_aside(path) as part:
        part.write_bytes(model.SerializeToString())
