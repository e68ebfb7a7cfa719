"""MTL-LoRA (arXiv 2410.09437): several tasks that share A and n B's, between them a matrix of each task's own.

ΔW of task t is s·(Σᵢ softmax(wₜ/τ)ᵢ·Bᵢ)·Λₜ·A. Each task's file has A′ = Λₜ·A and B′ = s·Σᵢ softmax(wₜ/τ)ᵢ·Bᵢ.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors

TEMPERATURE = 0.1
"""τ."""


class MultiTaskLora(Method):
    """`choices.links` B's; Λₜ begins as the identity, wₜ drawn, so that the B's do not begin alike."""

    def build(self) -> None:
        """A, Λ, B and w of each weight; B is zero."""
        rank, count, links = self.choices.rank, len(self.tasks), self.choices.links
        self.scale = self.choices.alpha / rank
        self.a: Tensors = {name: self.kaiming(rank, shape.inputs) for name, shape in self.weights.items()}
        self.between: Tensors = {name: self.parameter(torch.eye(rank).repeat(count, 1, 1)) for name in self.weights}
        self.b: Tensors = {
            name: self.parameter(torch.zeros(links, shape.outputs, rank)) for name, shape in self.weights.items()
        }
        self.w: Tensors = {
            name: self.parameter(torch.randn(count, links, generator=self.draw) * TEMPERATURE) for name in self.weights
        }

    def groups(self) -> Mapping[str, Tensors]:
        """A, Λ, B and w."""
        return {"a": self.a, "between": self.between, "b": self.b, "w": self.w}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """Those of each row's task."""
        a = self.between[weight][owners] @ self.a[weight]
        shares = torch.softmax(self.w[weight][owners] / TEMPERATURE, -1)
        return Factors(a, torch.einsum("ri,iok->rok", shares, self.b[weight]) * self.scale)

    def pairs(self) -> list[Pair]:
        """A is multiplied by Λ before B: there is no plain pair."""
        return []

    def others(self) -> list[Tensor]:
        """Everything."""
        return [tensor for group in self.groups().values() for tensor in group.values()]


METHOD = MultiTaskLora
