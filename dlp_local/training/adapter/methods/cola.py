"""Chain of LoRA (arXiv 2401.04151): train one, keep it fixed, train a fresh one on what is left, k times.

ΔW = Σ over links of s·Bᵢ·Aᵢ; the file has them all as one stack, of k times the rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors


class ChainOfLora(Method):
    """`choices.links` links, each for the same number of steps; optimizer and learning rate begin anew with each."""

    restarts_rate: ClassVar[bool] = True

    def build(self) -> None:
        """Every link has its A drawn and its B zero."""
        rank, shapes = self.choices.rank, self.weights.items()
        self.scale = self.choices.alpha / rank
        self.a: list[Tensors] = []
        self.b: list[Tensors] = []
        for _ in range(self.choices.links):
            self.a.append({name: self.kaiming(rank, shape.inputs) for name, shape in shapes})
            self.b.append({name: self.parameter(torch.zeros(shape.outputs, rank)) for name, shape in shapes})

    def groups(self) -> Mapping[str, Tensors]:
        """A and B of each link."""
        numbered = {"a": self.a, "b": self.b}
        return {f"{side}{link}": tensors for side, links in numbered.items() for link, tensors in enumerate(links)}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The links so far, one above the other; those that are done get no gradient."""
        a = [*(link[weight].detach() for link in self.a[: self.stage]), self.a[self.stage][weight]]
        b = [*(link[weight].detach() for link in self.b[: self.stage]), self.b[self.stage][weight]]
        return Factors(torch.cat(a), torch.cat(b, -1) * self.scale)

    def pairs(self) -> list[Pair]:
        """Those of the present link."""
        return [Pair(self.a[self.stage][name], self.b[self.stage][name]) for name in self.weights]

    def stage_starts(self, of_steps: int) -> Sequence[int]:
        """A stage is a link, and they share the steps evenly; there are no more links than steps."""
        links = self.choices.links
        return sorted({link * of_steps // links for link in range(links)})


METHOD = ChainOfLora
