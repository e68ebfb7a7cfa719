"""Chain of LoRA (arXiv 2401.04151): train one, keep it fixed, train a fresh one on what is left, k times.

ΔW = Σ over links of s·Bᵢ·Aᵢ; the file has them all as one stack, of k times the rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors, copied, take_over


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
        self.link = 0

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The links so far, one above the other; those that are done get no gradient."""
        done = range(self.link)
        a = [*(self.a[i][weight].detach() for i in done), self.a[self.link][weight]]
        b = [*(self.b[i][weight].detach() for i in done), self.b[self.link][weight]]
        return Factors(torch.cat(a), torch.cat(b, -1) * self.scale)

    def pairs(self) -> list[Pair]:
        """Those of the present link."""
        return [Pair(self.a[self.link][name], self.b[self.link][name]) for name in self.weights]

    def stage_at(self, step: int, of_steps: int) -> int:
        """A stage is a link."""
        return min(step * self.choices.links // max(of_steps, 1), self.choices.links - 1)

    def stage_steps(self, stage: int, of_steps: int) -> tuple[int, int]:
        """Links share the steps evenly."""
        links = self.choices.links
        return -(-stage * of_steps // links), -(-(stage + 1) * of_steps // links)

    def enter(self, stage: int) -> None:
        """The links before are done."""
        self.link = stage

    def state(self) -> dict[str, Any]:
        """All links, and which one is trained."""
        return {"link": self.link, "a": [copied(link) for link in self.a], "b": [copied(link) for link in self.b]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The links as they were."""
        self.link = state["link"]
        for links, saved in ((self.a, state["a"]), (self.b, state["b"])):
            for link, values in zip(links, saved, strict=True):
                take_over(link, values)


METHOD = ChainOfLora
