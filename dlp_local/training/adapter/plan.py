"""How much memory a training will take, told before it starts; by the header of the backbone alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path

import psutil

from dlp_local.core.errors import InputError
from dlp_local.core.text import size_text
from dlp_local.formats.gguf import Value, architecture, read_header, whole_number
from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.choices import Choices

FLOAT = 4
LIBRARIES = 450 << 20
"""What Python takes with torch and transformers loaded."""

ENGINE = 300 << 20
"""What the engine takes beside the backbone's file, to answer held-out rows."""


def training_memory(backbone: Path, choices: Choices, tasks: Sequence[Sequence[Example]]) -> int:
    """About how many bytes a training takes at most, all in all.

    The dequantized weights and the file they come from, what a batch's layers keep for the way back, its logits, and
    the adapter with its gradients and moments.
    """
    header = read_header(backbone)
    number = partial(_number, header.values)
    numbers = sum(prod(tensor.shape) for tensor in header.tensors.values())
    layers, hidden, feed_forward = (number(key) for key in ("block_count", "embedding_length", "feed_forward_length"))
    vocabulary = max((max(tensor.shape) for tensor in header.tensors.values()), default=0)
    longest = max(len(example.tokens) for examples in tasks for example in examples)
    tokens = max(longest, choices.batch_tokens) * len(tasks)
    learned = tokens // 2
    of_layer = tokens * (12 * hidden + 4 * feed_forward) + 2 * tokens * tokens * number("attention.head_count")
    adapter = (
        choices.rank
        * layers
        * (10 * hidden + 3 * feed_forward)
        * len(tasks)
        * (choices.links if choices.method == "cola" else 1)
    )
    whole = numbers + layers * of_layer + 4 * learned * vocabulary + 5 * adapter
    return FLOAT * whole + backbone.stat().st_size + LIBRARIES + ENGINE


def _number(values: Mapping[str, Value], key: str) -> int:
    return whole_number(values, f"{architecture(values)}.{key}", 0)


def free_memory(needed: int) -> int:
    """The bytes that are free on this machine; raises `InputError` where it has not as many as are needed at all."""
    machine = psutil.virtual_memory()
    if needed > machine.total:
        raise InputError(
            f"training needs about {size_text(needed)} of memory, and this machine has {size_text(machine.total)}. "
            "Use a smaller backbone, shorter rows, or fewer --batch-tokens."
        )
    return int(machine.available)
