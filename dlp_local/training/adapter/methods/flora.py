"""FLoRA-style batches (arXiv 2312.05677): several adapters in one run, each row of a batch under its own A and B."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors


class BatchedLora(Method):
    """A (tasks, rank, inputs) and B (tasks, outputs, rank); a row of a task uses its own, by batched products.

    The gradients of one task's adapter do not depend on the other tasks, so that it learns what it would alone.
    """

    trains_apart: ClassVar[bool] = True

    def build(self) -> None:
        """Every task draws its A as it would alone; B is zero."""
        rank, count = self.choices.rank, len(self.tasks)
        self.scale = self.choices.alpha / rank
        self.a: Tensors = {}
        self.b: Tensors = {}
        for name, shape in self.weights.items():
            drawn = self.kaiming(rank, shape.inputs).detach()
            self.a[name] = self.parameter(drawn.repeat(count, 1, 1))
            self.b[name] = self.parameter(torch.zeros(count, shape.outputs, rank))

    def groups(self) -> Mapping[str, Tensors]:
        """A and B."""
        return {"a": self.a, "b": self.b}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """Those of each row's task."""
        return Factors(self.a[weight][owners], self.b[weight][owners] * self.scale)

    def pairs(self) -> list[Pair]:
        """A and B of each weight, of all tasks at once."""
        return [Pair(self.a[name], self.b[name]) for name in self.weights]


METHOD = BatchedLora
