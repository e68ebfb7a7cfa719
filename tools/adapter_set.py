"""What the adapters of a pack are trained on, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.data import Row
from tools.side_by_side.data import ChatFrame, Tokenize
from tools.side_by_side.trainer import Plan


@dataclass(frozen=True, slots=True)
class Variant:
    """One training of a task; a task may have several, of which valid rows choose."""

    task: str
    plan: Plan
    rank: int = 8
    brevity: float = 0.0
    """A token weighs its answer's length to minus this power: 0 counts tokens alike, 1 answers."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which weights an adapter is: of one variant, or the mean of several that began alike."""

    variants: tuple[str, ...]
    weights: Literal["last", "mean"] = "mean"


@dataclass(frozen=True, slots=True)
class AdapterSet:
    """What the adapters of a pack learn from.

    `before` is the text that stands before a message where nothing was said yet; `prefixes(data, tokenize)` gives what
    stands before each step's rows. `rows(data, task, seed)` is endless. A batch of a slot has `batch_rows` rows of
    `length` tokens.
    """

    frame: ChatFrame
    before: str
    variants: Mapping[str, Variant]
    chosen: Mapping[str, Choice]
    rows: Callable[[Path, str, int], Iterator[Row]]
    valid_rows: Callable[[Path, str], list[Row]]
    prefixes: Callable[[Path, Tokenize], Iterator[Sequence[int]]]
    batch_rows: int
    length: int
    seconds: float
    """How long all of them are trained, for the pack that is in the repository on the machine that its card names."""

    @property
    def rank(self) -> int:
        """The largest of all ranks."""
        return max(variant.rank for variant in self.variants.values())
