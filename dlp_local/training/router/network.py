"""What a router computes: an MLP and a kernel density over anchors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

KERNEL_WIDTH = 0.04
"""T in exp((cos - 1) / T), the weight of an anchor."""

DENSITY_FLOOR = np.float32(1e-12)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Network:
    """What a router computes, of embeddings x (n, d) of unit length.

    logits = relu(x·w1 + b1)·w2 + b2 + kernel_weight · log Σⱼ shares[j, label] · exp((x·anchorⱼ - 1) / T)

    The sum is a kernel density of each label over its `anchors` (m, d), centers of its training rows; `shares` (m, k)
    says which part of which label's rows an anchor stands for.
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    anchors: Floats
    shares: Floats
    kernel_weight: float

    @property
    def parameters(self) -> int:
        """Numbers of the MLP and its anchors."""
        return sum(part.size for part in (self.w1, self.b1, self.w2, self.b2, self.anchors, self.shares))

    def logits(self, x: Floats) -> Floats:
        """Logits (n, k)."""
        kernel = np.exp((x @ self.anchors.T - 1) / np.float32(KERNEL_WIDTH))
        density = np.log(kernel @ self.shares + DENSITY_FLOOR)
        mlp = np.maximum(x @ self.w1 + self.b1, 0) @ self.w2 + self.b2
        return np.asarray(mlp + np.float32(self.kernel_weight) * density, np.float32)

    def calibrated(self, temperature: float, offset: npt.NDArray[np.float64]) -> Network:
        """The network whose logits are these divided by a temperature, plus an offset (k,)."""
        return replace(
            self,
            w2=(self.w2 / temperature).astype(np.float32),
            b2=(self.b2 / temperature + offset).astype(np.float32),
            kernel_weight=self.kernel_weight / temperature,
        )
