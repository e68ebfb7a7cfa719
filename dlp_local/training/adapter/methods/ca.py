"""CA-LoRA (arXiv 2307.07705): an adapter of a compressed backbone that begins with, and learns from, a better one's.

It begins with an adapter that was trained on a less compressed backbone, and is distilled from that backbone under that
adapter: the Kullback-Leibler divergence of the teacher's tokens from its own is added to the loss. Under the bare one
it would unlearn the task. The recovery module of the paper, which is not linear, cannot be a LoRA and is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from dlp_local.training.adapter.methods.lora import Lora
from dlp_local.training.adapter.methods.method import Factors, Tensor

if TYPE_CHECKING:
    from dlp_local.training.adapter.backbone import Backbone
    from dlp_local.training.adapter.batches import Batch


class CompressionAwareLora(Lora):
    """LoRA; what makes the difference is `choices.start` and `choices.teacher`, which a training with it must name."""


class Teacher:
    """A less compressed backbone under an adapter: `factors` gives A and B of a weight, None where it has none."""

    def __init__(self, backbone: Backbone, factors: Callable[[str], Factors | None]) -> None:
        self._backbone, self._factors = backbone, factors
        self.path, self.vocabulary_size = backbone.path, backbone.vocabulary_size

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def logits(self, batch: Batch) -> Tensor:
        """What the logits (n, vocabulary) of the tokens that are learned are to be."""
        logits, _, _ = self._backbone.learned_logits(batch, self._factors)
        return logits


METHOD = CompressionAwareLora
