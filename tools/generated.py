"""Rows of the tasks whose data is generated: seeded, and no subject of a `valid` row stands in a `train` row."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

VALID_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Made:
    """A generated row: `subject` is what is asked about, in whatever words; it decides the row's split."""

    subject: str
    message: str
    answer: str


def held_out(subject: str) -> bool:
    """Whether rows about a subject are valid rows."""
    return hashlib.sha256(subject.encode()).digest()[0] < 256 * VALID_SHARE


def make_rows(
    make: Callable[[random.Random], Made], name: str, count: int, split: str, seed: int = 0
) -> list[tuple[str, str]]:
    """`count` distinct (message, answer) rows of a split, `train` or `valid`.

    Raises `ValueError` where the generator has too few.
    """
    rng = random.Random(f"{name}-{split}-{seed}")
    rows: dict[str, str] = {}
    for _ in range(1000 * count):
        made = make(rng)
        if held_out(made.subject) == (split == "valid"):
            rows[made.message] = made.answer
            if len(rows) == count:
                return list(rows.items())
    raise ValueError(f"{name}: only {len(rows)} of {count} rows for {split}")


def typed(text: str, rng: random.Random) -> str:
    """A sentence as people type it: sometimes without its capital or its full stop."""
    case = rng.random()
    if case < 0.35:
        text = text[:1].upper() + text[1:]
    elif case < 0.45:
        text = text.lower()
    return text + rng.choice(["", "", "", "", "?", "."]) if text[-1:].isalnum() else text
