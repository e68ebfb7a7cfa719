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

    A training is cut into stages (`stage_at`); `enter` begins one, and what is trained from then on is `pairs` and
    `others`. Everything that going on needs is in `state`.
    """

    restarts_rate: ClassVar[bool] = False
    """Whether the learning rate rises and falls in each stage anew."""

    def __init__(self, choices: Choices, weights: Mapping[str, WeightShape], tasks: Sequence[str], device: str) -> None:
        self.choices, self.weights, self.tasks, self.device = choices, dict(weights), tuple(tasks), device
        self.draw = torch.Generator().manual_seed(choices.seed)
        self.build()

    def build(self) -> None:
        """Makes the parameters."""
        raise NotImplementedError

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """A and B of a weight as they are trained now; `owners` (rows,) is the task of each row of a batch."""
        raise NotImplementedError

    def exported(self, weight: str, task: int) -> Factors | None:
        """A and B as they are written for a task; None where the weight is not changed."""
        return self.factors(weight, torch.tensor([task]))

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

    def stage_at(self, step: int, of_steps: int) -> int:
        """The stage that a step belongs to."""
        return 0

    def stage_steps(self, stage: int, of_steps: int) -> tuple[int, int]:
        """The first step of a stage, and the first after it."""
        return 0, of_steps

    def enter(self, stage: int) -> None:
        """Begins a stage."""

    def state(self) -> dict[str, Any]:
        """Every parameter, to be saved."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()` of the same method and choices."""
        raise NotImplementedError

    def kaiming(self, *shape: int) -> Tensor:
        """A parameter drawn as PEFT draws A: Kaiming uniform with a = √5, within 1/√(the last dimension)."""
        bound = 1 / math.sqrt(shape[-1])
        return self.parameter(torch.empty(shape).uniform_(-bound, bound, generator=self.draw))

    def parameter(self, values: Tensor) -> Tensor:
        """A tensor to be trained, on the device."""
        return values.to(self.device).requires_grad_(True)


Tensors = dict[str, Tensor]


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Tensors that a training does not change any more."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@torch.no_grad()  # type: ignore[untyped-decorator]
def take_over(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copies values into parameters of the same names."""
    for name, tensor in into.items():
        tensor.copy_(values[name])
