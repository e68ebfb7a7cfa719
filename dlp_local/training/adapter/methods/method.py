"""What a method is: parameters to train, from which the A and B of each weight are computed.

The training's forward pass uses exactly the A and B that are written in the end, so that every method ends as an
ordinary LoRA: ΔW = B·A.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch

from dlp_local.training.adapter.choices import Choices

Tensor = Any
Tensors = dict[str, Tensor]
"""By the names of weights."""


class WeightShape(NamedTuple):
    """The sizes of a backbone's weight: W is (outputs, inputs)."""

    outputs: int
    inputs: int


class Factors(NamedTuple):
    """A (rank, inputs) and B (outputs, rank) of a weight, the scale in B; with a first dimension, one of each row."""

    a: Tensor
    b: Tensor


class Pair(NamedTuple):
    """Parameters that are the two sides of a product, the last dimension of B being the one before the last of A."""

    a: Tensor
    b: Tensor


class Method:
    """Parameters by weight, of one adapter or of several tasks.

    A training is cut into stages (`stage_starts`); `enter` begins one, and what is trained from then on is `pairs` and
    `others`. All that going on needs is in `state`.
    """

    restarts_rate: ClassVar[bool] = False
    """Whether the learning rate rises and falls in each stage anew."""

    trains_apart: ClassVar[bool] = False
    """Whether each task has parameters of its own alone, the first dimension of all of them being the task."""

    def __init__(self, choices: Choices, weights: Mapping[str, WeightShape], tasks: Sequence[str], device: str) -> None:
        self.choices, self.weights, self.tasks, self.device = choices, dict(weights), tuple(tasks), device
        self.draw = torch.Generator().manual_seed(choices.seed)
        self.stage = 0
        self.build()

    def build(self) -> None:
        """Makes the parameters."""
        raise NotImplementedError

    def groups(self) -> Mapping[str, Tensors]:
        """All parameters there are, by what they are (`a`, `b`), and there by weight."""
        raise NotImplementedError

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """A and B of a weight as they are trained now; `owners` (rows,) is the task of each row of a batch."""
        raise NotImplementedError

    def exported(self, weight: str, task: int) -> Factors | None:
        """A and B as they are written for a task; None where the weight is not changed."""
        a, b = self.factors(weight, torch.tensor([task], device=self.device))
        return Factors(a[0], b[0]) if a.dim() > 2 else Factors(a, b)

    def pairs(self) -> list[Pair]:
        """The products that are trained in this stage."""
        raise NotImplementedError

    def others(self) -> list[Tensor]:
        """Parameters beside them."""
        return []

    @property
    def trained(self) -> list[Tensor]:
        """Every parameter of this stage."""
        return [tensor for pair in self.pairs() for tensor in pair] + self.others()

    def stage_starts(self, of_steps: int) -> Sequence[int]:
        """The first step of each stage, of so many steps in all; the first stage's is 0."""
        return (0,)

    def enter(self, stage: int) -> None:
        """Begins a stage."""
        self.stage = stage

    def state(self) -> dict[str, Any]:
        """A copy of every parameter, to be kept."""
        copies = {group: _copied(tensors) for group, tensors in self.groups().items()}
        return {"stage": self.stage, "groups": copies}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()` of the same method, choices and weights."""
        self.enter(state["stage"])
        for group, tensors in self.groups().items():
            _take_over(tensors, state["groups"][group])

    def kaiming(self, *shape: int) -> Tensor:
        """A parameter drawn as PEFT draws A: Kaiming uniform with a = √5, within 1/√(the last dimension)."""
        bound = 1 / math.sqrt(shape[-1])
        return self.parameter(torch.empty(shape).uniform_(-bound, bound, generator=self.draw))

    def parameter(self, values: Tensor) -> Tensor:
        """A tensor to be trained, on the device."""
        return values.to(self.device).requires_grad_(True)


def _copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Tensors that a training does not change any more."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@torch.no_grad()  # type: ignore[untyped-decorator]
def _take_over(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copies values into parameters of the same names."""
    for name, tensor in into.items():
        tensor.copy_(values[name])
