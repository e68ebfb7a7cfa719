"""What the adapters of a pack are trained on, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dlp_local.core.values import Message
from dlp_local.training.adapter.choices import Choices
from tools.data import Row


@dataclass(frozen=True, slots=True)
class AdapterPlan:
    """What one adapter learns: so many `rows` of its task, each worded anew, as `choices` say."""

    rows: int
    choices: Choices


@dataclass(frozen=True, slots=True)
class AdapterSet:
    """What the adapters of a pack learn, by their tasks' names.

    `rows(data, task, seed)` is endless, and so is `histories(data)`: what stands before each row, mostly nothing.
    """

    plans: Mapping[str, AdapterPlan]
    rows: Callable[[Path, str, int], Iterator[Row]]
    histories: Callable[[Path], Iterator[tuple[Message, ...]]]
