"""MultiLoRA (arXiv 2311.11501): n LoRAs side by side, ΔW = Σ sᵢ·Bᵢ·Aᵢ, with scales that begin at zero and are learnt.

A and B are both drawn (Kaiming uniform), so that the parts do not begin alike; the file has them as one stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors, copied, take_over


class MultiLora(Method):
    """`choices.links` parts that share the rank; sᵢ is one number for each part of each weight."""

    def build(self) -> None:
        """A and B are drawn, s is zero."""
        parts = min(self.choices.links, self.choices.rank)
        self.each = self.choices.rank // parts
        self.a: Tensors = {}
        self.b: Tensors = {}
        self.s: Tensors = {}
        for name, shape in self.weights.items():
            self.a[name] = self.kaiming(parts * self.each, shape.inputs)
            bound = 1 / self.each**0.5
            b = torch.empty(shape.outputs, parts * self.each).uniform_(-bound, bound, generator=self.draw)
            self.b[name] = self.parameter(b)
            self.s[name] = self.parameter(torch.zeros(parts))

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The parts, one above the other."""
        return Factors(self.a[weight], self.b[weight] * self.s[weight].repeat_interleave(self.each))

    def pairs(self) -> list[Pair]:
        """A and B of each weight."""
        return [Pair(self.a[name], self.b[name]) for name in self.weights]

    def others(self) -> list[Tensor]:
        """The scales."""
        return list(self.s.values())

    def state(self) -> dict[str, Any]:
        """A, B and the scales."""
        return {"a": copied(self.a), "b": copied(self.b), "s": copied(self.s)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """A, B and the scales as they were."""
        for into, key in ((self.a, "a"), (self.b, "b"), (self.s, "s")):
            take_over(into, state[key])


METHOD = MultiLora
