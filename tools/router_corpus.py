"""What a pack's router is trained on and measured by."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlp_local.training.router.fit import Shape


@dataclass(frozen=True, slots=True)
class Corpus:
    """Messages with their labels, which are a pack's adapters and `base`.

    `training(data, rng)` gives (message, label) rows; `valid(data)` the valid messages of each kind. A kind is its
    label, but for those that `labels` names. `follow_ups` are held-out second messages of each adapter,
    `any_follow_ups` those of any, `new_follow_ups` some that nothing was chosen by.
    """

    tasks: tuple[str, ...]
    training: Callable[[Path, random.Random], list[tuple[str, str]]]
    valid: Callable[[Path], dict[str, list[str]]]
    follow_ups: Mapping[str, tuple[str, ...]]
    any_follow_ups: tuple[str, ...]
    new_follow_ups: Mapping[str, tuple[str, ...]]
    shape: Shape
    labels: Mapping[str, str] = field(default_factory=dict)
    base_lift: float = 0.0
    """Added to the log odds of `base`: a message for an adapter that base answers is put right more easily."""
