"""What the adapters of the bundled pack learn: messages alone, and messages after earlier turns of any task."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tools import data, small_talk
from tools.adapter_set import AdapterSet, Choice, Variant
from tools.data import Row
from tools.frame import ASSISTANT, END, USER, render
from tools.side_by_side.data import ChatFrame, Tokenize
from tools.side_by_side.trainer import Plan

HISTORY_SHARE = 0.07

VARIANTS = {
    "shell": Variant("shell", Plan(3e-3, dropout=0.1, slots=4), 16, 0.7),
    "sql": Variant("sql", Plan(3e-3, slots=2), 16),
    "describe": Variant("describe", Plan(3e-3, dropout=0.05, end=0.3), 16),
    "extract": Variant("extract", Plan(3e-3, dropout=0.1), 16),
    "banking": Variant("banking", Plan(3e-3, decay=0.1, dropout=0.2), 16),
    "dates": Variant("dates", Plan(3e-3, begin=0.3), 16),
}


def rows(folder: Path, task: str, seed: int) -> Iterator[Row]:
    """A task's training rows, worded anew in each pass."""
    rng = random.Random(f"adapter-{task}-{seed}")
    while True:
        yield from data.training_rows(folder, task, rng)


def prefixes(folder: Path, tokenize: Tokenize) -> Iterator[list[int]]:
    """Nothing, or earlier turns."""
    rng = random.Random("prefixes")
    earlier = [row for task in data.TASKS for row in data.training_rows(folder, task, rng)[:4000]]
    while True:
        yield tokenize(_history(earlier, rng)) if rng.random() < HISTORY_SHARE else []


def _history(earlier: list[Row], rng: random.Random) -> str:
    turns: list[tuple[str, str]] = []
    if rng.random() < 0.2:
        turns.append(("system", small_talk.system_prompt(rng)))
    for _ in range(rng.choice([0, 1, 1, 2])):
        row = rng.choice(earlier)
        message, answer = small_talk.own_pair(rng) if rng.random() < 0.3 else (row.message, row.answer)
        turns += [("user", message), ("assistant", answer)]
    return render(turns)


ADAPTERS = AdapterSet(
    frame=ChatFrame(USER, f"{END}{ASSISTANT}", END),
    before="",
    variants=VARIANTS,
    chosen={task: Choice((task,)) for task in VARIANTS},
    rows=rows,
    valid_rows=lambda folder, task: data.load(folder, task, "valid"),
    prefixes=prefixes,
    batch_rows=8,
    length=128,
    seconds=3600,
)
