"""How much memory and time a training will take, told before it starts; by the header of the backbone alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import psutil

from dlp_local.core.errors import InputError
from dlp_local.core.text import size_text
from dlp_local.formats.gguf import Value, architecture, read_header, whole_number
from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.choices import Choices

MIXES = 3
"""Held-out rows are answered under base, the pack as it is, and the new adapter."""

STARTS = 15.0
"""Seconds in which model and weights are opened, and the routing is looked at."""

TRAINING_SHARE, ANSWERING_SHARE = 0.42, 0.1
"""Of the speed of plain products: what a step reaches, and what llama.cpp does, answering a few at once."""

READ_SHARE = 0.1
"""A token of a prompt takes so much of one that is written, being read with others."""

LAYER_PASS = 0.002
"""Seconds of a layer in a step, there and back, beside its products."""

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
    of_task = max(longest, choices.batch_tokens)
    tokens = of_task * len(tasks)
    learned = tokens // 2
    of_token = (20 * hidden + 6 * feed_forward) if choices.dropout else (12 * hidden + 4 * feed_forward)
    of_layer = tokens * (of_token + 2 * of_task * number("attention.head_count"))
    adapter = (
        choices.rank
        * layers
        * (10 * hidden + 3 * feed_forward)
        * len(tasks)
        * (choices.links if choices.method == "cola" else 1)
    )
    whole = numbers + layers * of_layer + 4 * learned * vocabulary + 5 * adapter
    return FLOAT * whole + backbone.stat().st_size + LIBRARIES + ENGINE


@dataclass(frozen=True, slots=True)
class Work:
    """What a training will compute, in multiplications and additions.

    `training`: the steps, and the held-out loss after each epoch. `answering`: held-out rows under base, the pack as it
    is, and the new adapter. `layer_passes`: how often a layer is passed in a step, which takes a moment however small.
    """

    training: float
    answering: float
    layer_passes: int
    products: tuple[tuple[int, int], ...]
    """Inputs and outputs of the products in a layer, by which the speed of this machine is told."""

    def seconds(self, speed: float) -> float:
        """About how long all of it takes, where plain products run at `speed` operations a second."""
        return (
            STARTS
            + self.training / (TRAINING_SHARE * speed)
            + self.answering / (ANSWERING_SHARE * speed)
            + self.layer_passes * LAYER_PASS
        )


def training_work(
    backbone: Path,
    choices: Choices,
    tasks: Sequence[Sequence[Example]],
    held_out: Sequence[Sequence[Example]],
) -> Work:
    """What the rows of each task take: `choices` with the preset of their number.

    A token takes 2 for each of the layers' weights on the way there, and as many on the way back, for the weights
    are frozen; attention 4 for each number of each token in its row, and twice that on the way back; and where a token
    is learned, the logits.
    """
    header = read_header(backbone)
    number = partial(_number, header.values)
    layers, hidden = number("block_count"), number("embedding_length")
    matrices = [tensor.shape for name, tensor in header.tensors.items() if name.startswith("blk.")]
    of_token = 2.0 * sum(prod(shape) for shape in matrices if len(shape) > 1)
    logits = 2.0 * hidden * max((max(tensor.shape) for tensor in header.tensors.values()), default=0)
    attention = 4.0 * layers * hidden * choices.batch_tokens
    largest = max(sum(len(one.tokens) for one in examples) for examples in tasks)
    tokens = float(choices.epochs * largest * len(tasks))
    learned = tokens * _learned_share(tasks)
    judged = (choices.epochs + 1.0) * sum(len(one.tokens) for examples in held_out for one in examples)
    ways = 2 + (choices.method == "ca")
    training = tokens * (ways * of_token + (ways + 1) * attention) + ways * learned * logits
    training += judged * (of_token + attention + _learned_share(held_out) * logits)
    read = sum(len(one.prefix) + one.answer_at for examples in held_out for one in examples)
    written = sum(len(one.tokens) - one.answer_at for examples in held_out for one in examples)
    answering = MIXES * (of_token + logits) * (read * READ_SHARE + written)
    first = [tensor.shape for name, tensor in header.tensors.items() if name.startswith("blk.0.")]
    products = tuple(dict.fromkeys((shape[0], shape[1]) for shape in first if len(shape) == 2))
    return Work(training, answering, round(layers * tokens / choices.batch_tokens), products)


def _learned_share(tasks: Sequence[Sequence[Example]]) -> float:
    """The share of the tokens that are learned."""
    tokens = sum(len(one.tokens) for examples in tasks for one in examples)
    return sum(len(one.tokens) - one.answer_at for examples in tasks for one in examples) / max(tokens, 1)


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
