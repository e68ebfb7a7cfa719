"""CA-LoRA (arXiv 2307.07705): an adapter of a compressed backbone that begins with, and learns from, a better one's.

It begins with the adapter of a less compressed backbone, where one is given, and is distilled from that backbone: the
Kullback-Leibler divergence of the teacher's tokens from its own is added to the loss. The recovery module of the paper,
which is not linear, cannot be a LoRA and is left out.
"""

from __future__ import annotations

from dlp_local.training.adapter.methods.lora import Lora


class CompressionAwareLora(Lora):
    """LoRA; what makes the difference is `choices.start` and `choices.teacher`, which a training with it must name."""


METHOD = CompressionAwareLora
