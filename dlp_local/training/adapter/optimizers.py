"""The steps of a training: AdamW (arXiv 1711.05101), or LoRA-RITE, over the parameters of a method's stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.methods.method import Method
from dlp_local.training.adapter.rite import Rite

Tensor = Any
BETAS = (0.9, 0.98)
CLIP = 1.0
"""The norm that the gradients of one adapter are scaled down to."""

B_OVER_A = 16.0
"""How many times as fast as A LoRA+ lets B learn."""


class Optimizer(Protocol):
    """Makes steps, and can be saved."""

    def step(self, rate: float) -> None:
        """One step with a learning rate, and the gradients freed."""

    def state(self) -> dict[str, Any]:
        """Everything that going on needs beside the parameters."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""


class AdamW:
    """torch's AdamW over a method's parameters, those of B faster where it is LoRA+."""

    def __init__(self, method: Method, choices: Choices) -> None:
        pairs = method.pairs()
        groups = [
            {"params": [pair.a for pair in pairs] + method.others(), "ratio": 1.0},
            {"params": [pair.b for pair in pairs], "ratio": B_OVER_A if choices.method == "lora+" else 1.0},
        ]
        self._tensors, self._clips_each = method.trained, method.trains_apart
        used = [group for group in groups if group["params"]]
        self._adamw = torch.optim.AdamW(used, lr=choices.rate, betas=BETAS, weight_decay=choices.decay, fused=True)

    def step(self, rate: float) -> None:
        """One step."""
        clip(self._tensors, each=self._clips_each)
        for group in self._adamw.param_groups:
            group["lr"] = rate * group["ratio"]
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Torch's own."""
        state: dict[str, Any] = self._adamw.state_dict()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Torch's own."""
        self._adamw.load_state_dict(dict(state))


@torch.no_grad()  # type: ignore[untyped-decorator]
def clip(tensors: list[Tensor], *, each: bool) -> None:
    """Scales gradients down to a norm of `CLIP`, all together, or those of `each` task (the first dimension) apart."""
    if not each:
        torch.nn.utils.clip_grad_norm_(tensors, CLIP)
        return
    grads = [tensor.grad for tensor in tensors]
    norms = torch.stack([grad.flatten(1).pow(2).sum(1) for grad in grads]).sum(0).sqrt()
    shrink = (CLIP / (norms + 1e-6)).clamp(max=1)
    for grad in grads:
        grad.mul_(shrink.view(-1, *[1] * (grad.dim() - 1)))


def make_optimizer(method: Method, choices: Choices) -> Optimizer:
    """The optimizer that was chosen, for the stage that the method is in."""
    if choices.optimizer == "rite":
        return Rite(method.pairs(), BETAS, choices.decay, CLIP)
    return AdamW(method, choices)
