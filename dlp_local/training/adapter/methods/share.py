"""ShareLoRA (arXiv 2406.10785): one A for each kind of weight in all layers, and a B for each weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors, copied, take_over


def kind_of(weight: str) -> str:
    """What a weight is called in every layer: `model.layers.3.mlp.up_proj` → `mlp.up_proj`."""
    parts = weight.split(".")
    last_number = max((i for i, part in enumerate(parts) if part.isdigit()), default=-1)
    return ".".join(parts[last_number + 1 :])


class ShareLora(Method):
    """ΔW of a layer is s·B·A with the A of its kind; weights of one kind that differ in inputs have an A each."""

    def build(self) -> None:
        """A is drawn, B is zero."""
        rank = self.choices.rank
        self.scale = self.choices.alpha / rank
        self.kinds = {name: f"{kind_of(name)} of {shape.inputs}" for name, shape in self.weights.items()}
        inputs = {self.kinds[name]: shape.inputs for name, shape in self.weights.items()}
        self.a: Tensors = {kind: self.kaiming(rank, count) for kind, count in inputs.items()}
        self.b: Tensors = {
            name: self.parameter(torch.zeros(shape.outputs, rank)) for name, shape in self.weights.items()
        }

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The shared A and the weight's own B."""
        return Factors(self.a[self.kinds[weight]], self.b[weight] * self.scale)

    def pairs(self) -> list[Pair]:
        """Each A with all B's that it is multiplied by, one above the other, would be no parameter: none."""
        return []

    def others(self) -> list[Tensor]:
        """Every A once, and every B."""
        return [*self.a.values(), *self.b.values()]

    def state(self) -> dict[str, Any]:
        """A of each kind and B of each weight."""
        return {"a": copied(self.a), "b": copied(self.b)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """A and B as they were."""
        take_over(self.a, state["a"])
        take_over(self.b, state["b"])


METHOD = ShareLora
