"""AdamW for adapters side by side: each has its own learning rate, weight decay, steps and norm of gradients.

Decoupled Weight Decay Regularization, arXiv 1711.05101. Beside the weights it keeps their running mean over about the
last tenth of the steps (weights averaged with a power function of the step, arXiv 2312.02696, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

Tensor = Any
BETAS = (0.9, 0.98)
EPSILON = 1e-8
MEAN_SHARE = 0.1
"""The share of the steps so far that the mean of the weights reaches back over, about."""


class BankOptimizer:
    """Steps of a bank's tensors, whose second dimension (n) counts the adapters."""

    def __init__(self, tensors: Mapping[str, Tensor], count: int) -> None:
        self._tensors = dict(tensors)
        device = next(iter(self._tensors.values())).device
        self.first = {name: torch.zeros_like(tensor) for name, tensor in self._tensors.items()}
        self.second = {name: torch.zeros_like(tensor) for name, tensor in self._tensors.items()}
        self.mean = {name: tensor.detach().clone() for name, tensor in self._tensors.items()}
        self.steps = torch.zeros(count, device=device)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, rates: Tensor, decay: Tensor, clip: float = 1.0) -> None:
        """One step, and the gradients freed. `rates` and `decay` (n,): learning rate and weight decay of each adapter.

        An adapter whose rate is 0 stays as it is. Gradients of one adapter are scaled down to a norm of `clip`.
        """
        active = (rates > 0).float()
        self.steps += active
        grads = {name: tensor.grad for name, tensor in self._tensors.items()}
        norms = torch.stack([grad.pow(2).sum((0, 2, 3)) for grad in grads.values()]).sum(0).sqrt()
        shrink = (clip / (norms + 1e-6)).clamp(max=1)
        count = self.steps.clamp(min=1)
        first_part, second_part = 1 - BETAS[0] ** count, 1 - BETAS[1] ** count
        into_mean = active * (1 / (1 + MEAN_SHARE * (count - 1)))

        def each(values: Tensor) -> Tensor:
            return values[:, None, None]

        for name, tensor in self._tensors.items():
            grad = grads[name].mul_(each(shrink))
            first, second = self.first[name], self.second[name]
            first.lerp_(grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
            denominator = (second / each(second_part)).sqrt_().add_(EPSILON)
            tensor.mul_(1 - each(rates * decay))
            tensor.sub_(first.div(denominator).mul_(each(rates / first_part)))
            self.mean[name].lerp_(tensor, each(into_mean))
            tensor.grad = None

    def state(self) -> dict[str, Any]:
        """Everything that going on needs beside the bank's tensors."""
        return {"first": self.first, "second": self.second, "mean": self.mean, "steps": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        for kept, saved in ((self.first, "first"), (self.second, "second"), (self.mean, "mean")):
            for name, tensor in kept.items():
                tensor.copy_(state[saved][name])
        self.steps.copy_(state["steps"])
