"""Low-rank adaptation: ΔW = s·B·A (arXiv 2106.09685), as PEFT defines it, with rsLoRA's scale and LoRA+'s rates."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from dlp_local.core.errors import InputError
from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors


class Lora(Method):
    """s = alpha / rank; with rsLoRA (arXiv 2312.03732) alpha / √rank.

    LoRA+ (arXiv 2402.12354) is this one under an optimizer that lets B learn faster.
    """

    def build(self) -> None:
        """A is drawn, B is zero."""
        rank = self.choices.rank
        self.scale = self.choices.alpha / (math.sqrt(rank) if self.choices.method == "rslora" else rank)
        self.a: Tensors = {name: self.kaiming(rank, shape.inputs) for name, shape in self.weights.items()}
        self.b: Tensors = {
            name: self.parameter(torch.zeros(shape.outputs, rank)) for name, shape in self.weights.items()
        }

    def groups(self) -> Mapping[str, Tensors]:
        """A and B."""
        return {"a": self.a, "b": self.b}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """One adapter for all rows."""
        return Factors(self.a[weight], self.b[weight] * self.scale)

    def pairs(self) -> list[Pair]:
        """A and B of each weight."""
        return [Pair(self.a[name], self.b[name]) for name in self.weights]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def start_from(self, factors: Mapping[str, Factors]) -> None:
        """Begins with another adapter's A and B, which may lack weights and have a smaller rank; the rest is drawn.

        Raises `InputError` for one that changes other weights, or is of a larger rank.
        """
        for name, (a, b) in factors.items():
            used = b.abs().amax(0) > 0
            rank = int(used.sum())
            if name not in self.weights:
                raise InputError(f"--start: it changes {name}, which is not trained here. Leave it out.")
            if rank > self.choices.rank:
                raise InputError(f"--start: its rank is {rank}, more than {self.choices.rank}. Add --rank {rank}.")
            self.a[name][:rank] = a[used]
            self.b[name][:, :rank] = b[:, used] / self.scale


METHOD = Lora
