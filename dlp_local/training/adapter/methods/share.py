"""ShareLoRA (arXiv 2406.10785): one A for each kind of weight in all layers, and a B for each weight."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors


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

    def groups(self) -> Mapping[str, Tensors]:
        """A of each kind and B of each weight."""
        return {"a": self.a, "b": self.b}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The shared A and the weight's own B."""
        return Factors(self.a[self.kinds[weight]], self.b[weight] * self.scale)

    def pairs(self) -> list[Pair]:
        """An A is multiplied by many B's: there is no plain pair."""
        return []

    def others(self) -> list[Tensor]:
        """Every A once, and every B."""
        return [*self.a.values(), *self.b.values()]


METHOD = ShareLora
