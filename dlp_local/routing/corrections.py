"""What a user said of a message holds for that message and for those that are almost the same, at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAME_AT = 0.75
"""Cosine from which on a message is rather treated as the corrected one. Two messages of different intents are that
near in 2 of 100 pairs of nearest neighbors (BANKING77) or fewer (CLINC150)."""

SOFTNESS = 0.04

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Corrections:
    """Corrected messages: their texts, embeddings float32 (n, dims) and right labels, the oldest first."""

    texts: tuple[str, ...]
    embeddings: Floats
    labels: tuple[str, ...]

    def add(self, text: str, embedding: Floats, label: str) -> Corrections:
        """With one more; what was said of the same text before is forgotten."""
        others = self.without(text)
        return Corrections(
            (*others.texts, text),
            np.concatenate([others.embeddings, embedding.reshape(1, -1)]),
            (*others.labels, label),
        )

    def without(self, text: str) -> Corrections:
        """With nothing said of a text."""
        keep = [index for index, known in enumerate(self.texts) if known != text]
        return Corrections(
            tuple(self.texts[index] for index in keep), self.embeddings[keep], tuple(self.labels[i] for i in keep)
        )

    def of(self, label: str) -> Floats:
        """Embeddings (n, dims) of the messages that belong to a label."""
        return self.embeddings[[known == label for known in self.labels]]

    def apply(self, probabilities: dict[str, float], embedding: Floats) -> dict[str, float]:
        """p·(1-w) + w·(the labels of what is near), for one message's embedding (dims,).

        w goes from 0 to 1 around `SAME_AT` with the cosine of the nearest corrected message; where several are near,
        each counts by its own w. Labels that have no probability here do not count.
        """
        known = [index for index, label in enumerate(self.labels) if label in probabilities]
        if not known:
            return probabilities
        cosines = self.embeddings[known] @ embedding
        near = 1 / (1 + np.exp(-(cosines.astype(np.float64) - SAME_AT) / SOFTNESS))
        weight, shares = float(near.max()), near / near.sum()
        corrected = {name: p * (1 - weight) for name, p in probabilities.items()}
        for index, share in zip(known, shares.tolist(), strict=True):
            corrected[self.labels[index]] += weight * share
        return corrected
