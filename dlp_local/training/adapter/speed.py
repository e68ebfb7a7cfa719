"""How fast plain products of a backbone's sizes are on this machine now, to tell before a training how long it takes.

In torch, for numpy has other libraries for them: with two cores in use by others it is 5 to 25 times slower.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from dlp_local.training.adapter.plan import Work

SECONDS = 0.05


def about_seconds(work: Work, tokens: int, device: str) -> float:
    """About how long a training takes, in batches of so many tokens, at the speed that this machine has now."""
    return work.seconds(products_speed(work.products, tokens, device)) if work.products else 0.0


def products_speed(sizes: Sequence[tuple[int, int]], tokens: int, device: str) -> float:
    """Multiplications and additions a second of products (tokens, inputs) · (inputs, outputs) in float32.

    `sizes`: inputs and outputs of each.
    """
    pairs = [
        (torch.ones(tokens, inputs, device=device), torch.ones(inputs, outputs, device=device))
        for inputs, outputs in sizes
    ]
    once = sum(2.0 * tokens * inputs * outputs for inputs, outputs in sizes)
    _multiply(pairs, device)  # the first time, libraries are loaded
    began = time.perf_counter()
    rounds, passed = 0, 0.0
    while passed < SECONDS:
        _multiply(pairs, device)
        rounds, passed = rounds + 1, time.perf_counter() - began
    return once * rounds / passed


def _multiply(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]], device: str) -> None:
    for x, weight in pairs:
        product = x @ weight
    if device != "cpu":
        float(product[0, 0])  # waits for what was begun
