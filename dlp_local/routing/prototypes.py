"""Labels known by their examples alone: prototypes, and one distribution of them and of what a router was trained on.

A prototype is the direction of some examples' mean (Snell et al. 2017, arXiv 1703.05175). A trained label i has a
probability pᵢ and a prototype as well, so a new label n competes with it on equal terms:

    new label        exp(α·cos(x, n) + β)
    trained label    pᵢ · exp(α·max(cos(x, i), γ))
    base             p_base · exp(α·γ)       γ: how near a message must be before it counts as a new label's

The new labels get their part of the sum; what is left is shared among the trained ones as the router has it. So a
label whose examples are far away changes nothing, and no new label changes the order of the others.

α, β and γ were chosen on draws of CLINC150's valid rows: ten intents known by five examples each beside 140 that are
trained on (`tools.reproduce beside-trained` has other draws). A learnt metric (whitening within the labels) was
measured there, too: it is no better than the cosine, so there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SCALE = 20.0
"""α."""

BIAS = 0.8
"""β. Ten new intents known by five examples each, mean of five draws, by the sentence embedding alone: 86.6 % of their
rows are routed rightly, and the others lose 0.9 points; with 0.4 it is 83.3 % and 0.6, with 1.0 87.9 % and 1.0. With
the bundled encoder's features it is 90.4 % and 0.5 (docs/experiments.md)."""

BASE_SIMILARITY = 0.4
"""γ, where the router knows `base` or knows nothing."""

UNTRAINED_BASE_SIMILARITY = 0.3
"""γ, where the router was trained without `base`: only two in a hundred messages are so far from their own label."""

COHERENT = 0.6
"""Length of the mean of some unit vectors under which they are no one direction, and are split in two."""

MAX_PROTOTYPES = 32
"""Prototypes of one label at most."""

SQUARINGS = 10
"""Squarings of a matrix after which only its greatest axis is left of it."""

REFERENCE_COUNT = 5
"""Examples of a label that α, β and γ were chosen with."""

EXPECTED_COSINE = 0.5
"""Of two messages of one label (the median is 0.5 in CLINC150 and 0.6 in BANKING77)."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Labels and their prototypes: `centers` float32 (m, dims), each the `owners`-th label's.

    A center has unit length, or more where its label has fewer than `REFERENCE_COUNT` examples (`_few_examples_gain`).
    """

    labels: tuple[str, ...]
    centers: Floats
    owners: npt.NDArray[np.intp]

    @classmethod
    def of(cls, examples: Mapping[str, Floats], dims: int) -> Prototypes:
        """From the embeddings (n, dims) of each label's examples; the order of the examples does not count."""
        labels = tuple(name for name, vectors in sorted(examples.items()) if len(vectors))
        centers: list[Floats] = []
        owners: list[int] = []
        for index, name in enumerate(labels):
            parts = directions(examples[name])
            centers += [direction * _few_examples_gain(count) for direction, count in parts]
            owners += [index] * len(parts)
        return cls(labels, np.array(centers, np.float32).reshape(-1, dims), np.array(owners, np.intp))

    def similarities(self, embeddings: Floats) -> Floats:
        """Cosines (n, labels) of embeddings (n, dims) and the nearest prototype of each label.

        Those of a label with fewer than `REFERENCE_COUNT` examples are scaled up to what that many would give.
        """
        nearest = np.full((len(embeddings), len(self.labels)), -1, np.float32)
        np.maximum.at(nearest.T, self.owners, (embeddings @ self.centers.T).T)
        return nearest


def directions(vectors: Floats) -> list[tuple[Floats, int]]:
    """Unit vectors (n, dims) as few directions, each with the number of vectors that it stands for.

    One, where their mean is at least `COHERENT` long; else they are halved along the axis of their greatest variance,
    the least coherent part first, to `MAX_PROTOTYPES` directions at most.
    """
    parts = [np.asarray(vectors, np.float64)]
    while len(parts) < MAX_PROTOTYPES:
        lengths = [np.linalg.norm(part.mean(axis=0)) for part in parts]
        worst = int(np.argmin(lengths))
        if lengths[worst] >= COHERENT:
            break
        part = parts[worst]
        side = _side(part - part.mean(axis=0))
        if side.all() or not side.any():
            break
        parts[worst : worst + 1] = [part[side], part[~side]]
    return [(_unit(part.mean(axis=0)).astype(np.float32), len(part)) for part in parts]


def _side(centered: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """On which side of their mean vectors (n, dims) lie, along the axis of their greatest variance.

    Found in the smaller of the two matrices of their products: a handful of examples costs next to nothing.
    """
    if len(centered) < centered.shape[1]:
        return _greatest_axis(centered @ centered.T) > 0
    return np.asarray(centered @ _greatest_axis(centered.T @ centered) > 0)


def _greatest_axis(products: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The direction of the greatest eigenvalue of a symmetric matrix without negative ones.

    By squaring: one axis alone, in a few products of matrices; `eigh`, which finds all, takes a second on a busy
    machine.
    """
    for _ in range(SQUARINGS):
        products = products / max(float(np.trace(products)), 1e-300)
        products = products @ products
    return products[:, products.diagonal().argmax()]


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _few_examples_gain(count: int) -> np.float32:
    """How much nearer a message is, on average, to the mean of `REFERENCE_COUNT` examples than to that of `count`.

    Where two messages of a label have the cosine ρ, one has ρ·√n / √(1 + (n-1)·ρ) with the mean of n others.
    """
    few = min(count, REFERENCE_COUNT)
    expected = [EXPECTED_COSINE * np.sqrt(n) / np.sqrt(1 + (n - 1) * EXPECTED_COSINE) for n in (few, REFERENCE_COUNT)]
    return np.float32(expected[1] / expected[0])


def combine(trained: Floats, trained_similarities: Floats, new_similarities: Floats) -> Floats:
    """One distribution (n, k + m) of a router's k labels and of m that are known by their prototypes.

    `trained` are the router's probabilities (n, k); k may be 0. The similarities (n, k) and (n, m) are cosines with
    the nearest prototype of each label, γ for `base`. Each row of the result sums to 1.
    """
    new_logits = new_similarities * SCALE + BIAS
    trained_logits = np.log(np.maximum(trained, 1e-12)) + trained_similarities * SCALE
    peak = np.concatenate([new_logits, trained_logits], axis=1).max(axis=1, keepdims=True)
    new_masses, trained_masses = np.exp(new_logits - peak), np.exp(trained_logits - peak)
    trained_mass = trained_masses.sum(axis=1, keepdims=True)
    total = new_masses.sum(axis=1, keepdims=True) + trained_mass
    return np.concatenate([trained * (trained_mass / total), new_masses / total], axis=1)
