"""MultiLoRA (arXiv 2311.11501): n LoRAs side by side, ΔW = Σ sᵢ·Bᵢ·Aᵢ, with scales that begin at zero and are learnt.

A and B are both drawn (Kaiming uniform), so that the parts do not begin alike; the file has them as one stack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors


class MultiLora(Method):
    """`choices.links` parts that share the rank; sᵢ is one number for each part of each weight."""

    def build(self) -> None:
        """A and B are drawn, s is zero."""
        parts = min(self.choices.links, self.choices.rank)
        self.rank_of_part = self.choices.rank // parts
        rank, bound = parts * self.rank_of_part, 1 / math.sqrt(self.rank_of_part)
        self.a: Tensors = {}
        self.b: Tensors = {}
        self.s: Tensors = {}
        for name, shape in self.weights.items():
            self.a[name] = self.kaiming(rank, shape.inputs)
            drawn = torch.empty(shape.outputs, rank).uniform_(-bound, bound, generator=self.draw)
            self.b[name] = self.parameter(drawn)
            self.s[name] = self.parameter(torch.zeros(parts))

    def groups(self) -> Mapping[str, Tensors]:
        """A, B and the scales."""
        return {"a": self.a, "b": self.b, "s": self.s}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The parts, one above the other."""
        return Factors(self.a[weight], self.b[weight] * self.s[weight].repeat_interleave(self.rank_of_part))

    def pairs(self) -> list[Pair]:
        """Between A and B stand the scales: there is no plain pair."""
        return []

    def others(self) -> list[Tensor]:
        """Everything."""
        return [tensor for group in self.groups().values() for tensor in group.values()]


METHOD = MultiLora
