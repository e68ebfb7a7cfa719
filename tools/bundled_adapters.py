"""What the adapters of the bundled pack learn: messages alone, and messages after earlier turns of any task."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from dlp_local.core.values import Message
from dlp_local.training.adapter.choices import Choices
from tools import data, small_talk
from tools.adapter_set import AdapterPlan, AdapterSet
from tools.data import Row

HISTORY_SHARE = 0.07
EARLIER_ROWS = 4000
"""Of each task, that conversations are made of."""


def plan(rows: int, *, dropout: float = 0.0, decay: float = 0.01) -> AdapterPlan:
    """Three epochs of rows, in batches of 1,024 tokens."""
    return AdapterPlan(rows, Choices(rank=16, rate=3e-3, dropout=dropout, decay=decay, epochs=3, batch_tokens=1024))


PLANS = {
    "shell": plan(40_000, dropout=0.1),
    "sql": plan(30_000),
    "describe": plan(8_000, dropout=0.05),
    "extract": plan(15_000, dropout=0.1),
    "banking": plan(20_000, dropout=0.2, decay=0.1),
    "dates": plan(20_000),
}


def rows(folder: Path, task: str, seed: int) -> Iterator[Row]:
    """A task's training rows, worded anew in each pass."""
    rng = random.Random(f"adapter-{task}-{seed}")
    while True:
        yield from data.training_rows(folder, task, rng)


def histories(folder: Path) -> Iterator[tuple[Message, ...]]:
    """Nothing, or earlier turns."""
    rng = random.Random("histories")
    earlier = [row for task in data.TASKS for row in data.training_rows(folder, task, rng)[:EARLIER_ROWS]]
    while True:
        yield _history(earlier, rng) if rng.random() < HISTORY_SHARE else ()


def _history(earlier: list[Row], rng: random.Random) -> tuple[Message, ...]:
    turns: list[Message] = []
    if rng.random() < 0.2:
        turns.append(Message("system", small_talk.system_prompt(rng)))
    for _ in range(rng.choice([0, 1, 1, 2])):
        row = rng.choice(earlier)
        message, answer = small_talk.own_pair(rng) if rng.random() < 0.3 else (row.message, row.answer)
        turns += [Message("user", message), Message("assistant", answer)]
    return tuple(turns)


ADAPTERS = AdapterSet(PLANS, rows, histories)
