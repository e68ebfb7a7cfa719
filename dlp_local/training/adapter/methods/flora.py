"""FLoRA-style batches (arXiv 2312.05677): several adapters in one run, each row of a batch under its own A and B."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors, copied, take_over


class BatchedLora(Method):
    """A (tasks, rank, inputs) and B (tasks, outputs, rank); a row of a task uses its own, by batched products.

    The gradients of one task's adapter do not depend on the other tasks, so that it learns what it would alone.
    """

    def build(self) -> None:
        """Every task draws its A as it would alone; B is zero."""
        rank, count = self.choices.rank, len(self.tasks)
        self.scale = self.choices.alpha / rank
        drawn: dict[str, list[Tensor]] = {name: [] for name in self.weights}
        for _ in self.tasks:
            self.draw.manual_seed(self.choices.seed)
            for name, shape in self.weights.items():
                drawn[name].append(self.kaiming(rank, shape.inputs).detach())
        self.a: Tensors = {name: self.parameter(torch.stack(values)) for name, values in drawn.items()}
        self.b: Tensors = {
            name: self.parameter(torch.zeros(count, shape.outputs, rank)) for name, shape in self.weights.items()
        }

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """Those of each row's task."""
        return Factors(self.a[weight][owners], self.b[weight][owners] * self.scale)

    def exported(self, weight: str, task: int) -> Factors | None:
        """Those of one task."""
        return Factors(self.a[weight][task], self.b[weight][task] * self.scale)

    def pairs(self) -> list[Pair]:
        """A and B of each weight, of all tasks at once."""
        return [Pair(self.a[name], self.b[name]) for name in self.weights]

    def state(self) -> dict[str, Any]:
        """A and B."""
        return {"a": copied(self.a), "b": copied(self.b)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """A and B as they were."""
        take_over(self.a, state["a"])
        take_over(self.b, state["b"])


METHOD = BatchedLora
