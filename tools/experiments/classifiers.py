"""Classifiers on the same features: the router's, and those that scikit-learn has for anyone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.values import BASE
from dlp_local.routing.router import Router
from dlp_local.training.router.calibration import best_temperature, softmax
from dlp_local.training.router.fit import Shape, fit_router

Floats = npt.NDArray[np.float32]
Probabilities = npt.NDArray[Any]

NEIGHBORS = 10
HIDDEN = 512
SCALE = 20.0
"""Of cosines, before the temperature that is found; that of `routing.prototypes`."""

ROWS_TO_STOP_BY = 60
"""Of a label: a tenth of fewer is too few to tell when a training is to stop."""

STRENGTHS = (3.0, 30.0)
"""C of the logistic regression; that with which the held-out rows are likelier counts."""

NUMBERS = (1, 2, 10)
"""ONNX's types float32, uint8 and float16: what was trained is one of these."""

TIMED = 100
ROUNDS = 3
"""Messages that each classifier is timed with, one at a time, and how often they take turns."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Features (n, d) of unit length with their labels, to train on and held out of that.

    `background` (b, d) are rows of `base` to train on besides, in none of the others.
    """

    x: Floats
    y: tuple[str, ...]
    x_held: Floats
    y_held: tuple[str, ...]
    background: Floats

    @property
    def train(self) -> tuple[Floats, tuple[str, ...]]:
        """What is not held out, and the background, as rows with labels."""
        return np.concatenate([self.x, self.background]), (*self.y, *[BASE] * len(self.background))

    @property
    def every(self) -> tuple[Floats, tuple[str, ...]]:
        """All of them."""
        x, y = self.train
        return np.concatenate([x, self.x_held]), y + self.y_held


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained one: features (n, d) → probabilities (n, labels); `parameters` are the numbers that it keeps."""

    labels: tuple[str, ...]
    probabilities: Callable[[Floats], Probabilities]
    parameters: int


def embedding_of(x: Floats, dims: int) -> Floats:
    """Of features (n, d) the sentence embeddings that they begin with, (n, `dims`) of unit length."""
    embeddings = x[:, :dims]
    return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


def without_earlier_layers(rows: Rows, dims: int, file: Path, shape: Shape, base_lift: float) -> Classifier:
    """The recipe on the sentence embeddings alone, the first `dims` numbers of the features."""
    x, x_held, background = (embedding_of(x, dims) for x in (rows.x, rows.x_held, rows.background))
    trained = ours(replace(rows, x=x, x_held=x_held, background=background), file, shape, base_lift)
    return replace(trained, probabilities=lambda x: trained.probabilities(embedding_of(x, dims)))


def ours(rows: Rows, file: Path, shape: Shape, base_lift: float = 0.0) -> Classifier:
    """The router's recipe, run as the product runs it: from its file. `base_lift`: see `tools.router_corpus`."""
    background = rows.background if len(rows.background) else None
    trained = fit_router(rows.x, rows.y, held_out=(rows.x_held, rows.y_held), background=background, shape=shape)
    lift = np.array([base_lift * (label == BASE) for label in trained.labels])
    trained = replace(trained, network=trained.network.calibrated(1.0, lift))
    file.parent.mkdir(parents=True, exist_ok=True)
    trained.write(file, "all-MiniLM-L6-v2")
    return of_file(file)


def of_file(file: Path) -> Classifier:
    """A router's file, the pack's say. Its prototypes, by which new adapters are known, are none of its parameters."""
    import onnx

    router = Router(file, threads=1)
    constants = onnx.load(str(file)).graph.initializer
    counted = [c for c in constants if not c.name.startswith("prototypes") and c.data_type in NUMBERS]
    sizes = [int(np.prod(constant.dims)) for constant in counted if constant.dims]
    return Classifier(router.labels, router.probabilities, sum(sizes))


def logistic_regression(rows: Rows) -> Classifier:
    """scikit-learn's, the better of two strengths of regularization by the held-out rows, then on all rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    def fitted(strength: float, x: Floats, y: Sequence[str]) -> Any:
        return LogisticRegression(C=strength, max_iter=200).fit(x, list(y))

    def loss(strength: float) -> float:
        model = fitted(strength, *rows.train)
        return float(log_loss(list(rows.y_held), model.predict_proba(rows.x_held), labels=model.classes_))

    best = min(STRENGTHS, key=loss) if rows.y_held else STRENGTHS[0]
    model = fitted(best, *rows.every)
    return Classifier(tuple(map(str, model.classes_)), model.predict_proba, model.coef_.size + model.intercept_.size)


def mlp(rows: Rows) -> Classifier:
    """scikit-learn's `MLPClassifier`, one hidden layer, stopped early by a tenth of the rows where they are enough."""
    from sklearn.neural_network import MLPClassifier

    x, y = rows.every
    is_stopped = len(y) >= ROWS_TO_STOP_BY * len(set(y))
    model = MLPClassifier((HIDDEN,), early_stopping=is_stopped, max_iter=100, random_state=0)
    model.fit(x, list(y))
    size = sum(part.size for part in (*model.coefs_, *model.intercepts_))
    return Classifier(tuple(map(str, model.classes_)), model.predict_proba, size)


def nearest_centroid(rows: Rows) -> Classifier:
    """The direction of each label's mean; softmax of the cosines, whose temperature the held-out rows decide."""
    x, y = rows.every
    labels, truth = tuple(sorted(set(y))), np.array(y)
    means = np.stack([x[truth == label].mean(axis=0) for label in labels])
    centers = means / np.linalg.norm(means, axis=1, keepdims=True)
    held = np.array([labels.index(label) for label in rows.y_held], np.intp)
    temperature = best_temperature(SCALE * rows.x_held @ centers.T, held)
    return Classifier(labels, lambda x: softmax(SCALE * x @ centers.T / temperature), centers.size)


def nearest_neighbors(rows: Rows) -> Classifier:
    """The labels of the nearest rows by cosine, each weighing the inverse of its distance; it keeps all rows."""
    from sklearn.neighbors import KNeighborsClassifier

    x, y = rows.every
    count = min(NEIGHBORS, len(y))
    model = KNeighborsClassifier(count, weights="distance", metric="cosine", algorithm="brute")
    model.fit(x, list(y))
    return Classifier(tuple(map(str, model.classes_)), model.predict_proba, x.size)


OTHERS: Mapping[str, Callable[[Rows], Classifier]] = {
    "logistic regression": logistic_regression,
    "MLPClassifier": mlp,
    "nearest centroid": nearest_centroid,
    f"{NEIGHBORS} nearest neighbors": nearest_neighbors,
}


def milliseconds(classifiers: Mapping[str, Classifier], x: Floats) -> dict[str, float]:
    """The median milliseconds of one message, each classifier alone; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in classifiers}
    for _ in range(ROUNDS):
        for name, classifier in classifiers.items():
            classifier.probabilities(x[:1])
            for row in x[:TIMED]:
                start = time.perf_counter()
                classifier.probabilities(row[None])
                took[name].append(1e3 * (time.perf_counter() - start))
    return {name: round(float(np.median(times)), 4) for name, times in took.items()}
