"""An embedding → the probability of each adapter and of `base`: router, prototypes, detectors, corrections as one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dlp_local.core.values import BASE
from dlp_local.routing.corrections import Corrections
from dlp_local.routing.detector import Detector
from dlp_local.routing.prototypes import (
    BASE_SIMILARITY,
    BIAS,
    SCALE,
    UNTRAINED_BASE_SIMILARITY,
    Prototypes,
    combine,
)
from dlp_local.routing.router import Router

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained router, if there is one; the adapters that it was not trained on, by their examples; corrections.

    `examples` has the embeddings (n, dims) of each untrained adapter's examples; `prototypes` are made of them and of
    the messages that were corrected to such an adapter. `detectors` are those of adapters that neither has. `absent`
    are labels that the router was trained on and nobody is there for.
    """

    router: Router | None
    examples: Mapping[str, Floats]
    corrections: Corrections
    prototypes: Prototypes
    absent: Collection[str]
    detectors: Mapping[str, Detector]

    @classmethod
    def of(
        cls,
        router: Router | None,
        examples: Mapping[str, Floats],
        corrections: Corrections,
        dims: int,
        absent: Collection[str] = (),
        detectors: Mapping[str, Detector] = MappingProxyType({}),
    ) -> Classifier:
        """From the embeddings (n, dims) of the examples of each adapter that the router was not trained on."""
        with_corrections = {
            name: np.concatenate([embeddings, corrections.of(name)]) for name, embeddings in examples.items()
        }
        return cls(router, examples, corrections, Prototypes.of(with_corrections, dims), absent, detectors)

    def corrected(self, text: str, embedding: Floats, label: str) -> Classifier:
        """With one more correction: a text, its embedding (dims,) and its right label."""
        return self._with(self.corrections.add(text, embedding, label))

    def uncorrected(self, text: str) -> Classifier:
        """With nothing said of a text."""
        return self._with(self.corrections.without(text))

    def _with(self, corrections: Corrections) -> Classifier:
        dims = self.corrections.embeddings.shape[1]
        return Classifier.of(self.router, self.examples, corrections, dims, self.absent, self.detectors)

    @property
    def trained(self) -> tuple[str, ...]:
        """The labels that the router was trained on."""
        return self.router.labels if self.router else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that have a probability; `base` is always one of them."""
        return (*self._without_detectors, *self.detectors)

    @property
    def _without_detectors(self) -> tuple[str, ...]:
        return (*self.trained, *self.prototypes.labels, *(() if BASE in self.trained else (BASE,)))

    def probabilities(self, embedding: Floats) -> dict[str, float]:
        """The probability of each label for a message embedded as (1, dims); they sum to 1."""
        distribution, similarities = self._router_output(embedding)
        if len(self._without_detectors) > len(self.trained):
            new = self.prototypes.similarities(embedding)
            if BASE not in self.trained:
                threshold = UNTRAINED_BASE_SIMILARITY if self.router else BASE_SIMILARITY
                new = np.append(new, np.array([[threshold - BIAS / SCALE]], np.float32), axis=1)
            distribution = combine(distribution, similarities, new)
        odds = [float(detector.odds(embedding)[0]) for detector in self.detectors.values()]
        shares = [*distribution[0].tolist(), *odds]
        probabilities = {name: share / (1 + sum(odds)) for name, share in zip(self.labels, shares, strict=True)}
        return self.corrections.apply(probabilities, embedding[0])

    def _router_output(self, embedding: Floats) -> tuple[Floats, Floats]:
        """The router's probabilities (1, trained labels), and how near the message is to each label's prototypes.

        A router that knows `base` is right about a message that is near to nothing: such a message counts as
        `BASE_SIMILARITY` near to each of its labels, and each message to `base`. So does each message to a label whose
        adapter is gone: `base` gets what it is given, and a new adapter for the same messages is not kept from them.
        """
        if self.router is None:
            return np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32)
        if not self.router.has_prototypes:
            probabilities = self.router.probabilities(embedding)
            return probabilities, np.full_like(probabilities, BASE_SIMILARITY)
        probabilities, similarities = self.router.with_similarities(embedding)
        if BASE in self.trained:
            is_nobodys = np.isin(self.trained, [BASE, *self.absent])
            similarities = np.where(is_nobodys, BASE_SIMILARITY, np.maximum(similarities, BASE_SIMILARITY))
        return probabilities, similarities.astype(np.float32)
