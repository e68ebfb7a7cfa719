"""Low-rank adaptation: ΔW = s·B·A (arXiv 2106.09685), as PEFT defines it, with rsLoRA's scale and LoRA+'s rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors, copied, take_over


class Lora(Method):
    """s = alpha / rank; with rsLoRA (arXiv 2312.03732) alpha / √rank.

    LoRA+ (arXiv 2402.12354) is this one under other rates: see `rates`.
    """

    def build(self) -> None:
        """A is drawn, B is zero."""
        rank = self.choices.rank
        self.scale = self.choices.alpha / (math.sqrt(rank) if self.choices.method == "rslora" else rank)
        self.a: Tensors = {name: self.kaiming(rank, shape.inputs) for name, shape in self.weights.items()}
        self.b: Tensors = {
            name: self.parameter(torch.zeros(shape.outputs, rank)) for name, shape in self.weights.items()
        }

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """One adapter for all rows."""
        return Factors(self.a[weight], self.b[weight] * self.scale)

    def pairs(self) -> list[Pair]:
        """A and B of each weight."""
        return [Pair(self.a[name], self.b[name]) for name in self.weights]

    def start_from(self, factors: Mapping[str, Factors]) -> None:
        """Begins with another adapter's A and B, which may lack weights and have a smaller rank; the rest is drawn."""
        with torch.no_grad():
            for name, (a, b) in factors.items():
                rank = min(len(a), self.choices.rank)
                self.a[name][:rank] = a[:rank]
                self.b[name][:, :rank] = b[:, :rank] / self.scale

    def state(self) -> dict[str, Any]:
        """A and B."""
        return {"a": copied(self.a), "b": copied(self.b)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """A and B as they were."""
        take_over(self.a, state["a"])
        take_over(self.b, state["b"])


METHOD = Lora
