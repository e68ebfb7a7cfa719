"""What the adapters of the SmolLM2 pack learn: each message after the default system prompt or a conversation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from dlp_local.core.values import Message
from dlp_local.training.adapter.choices import Choices
from tools import smollm2_data
from tools.adapter_set import AdapterPlan, AdapterSet

CONVERSATION_SHARE = 0.15
EARLIER_ROWS = 1500
"""Of each task, that conversations are made of."""


def plan(rows: int, rate: float, *, rank: int = 8, dropout: float = 0.0, decay: float = 0.01) -> AdapterPlan:
    """Three epochs of rows, in batches of 2,048 tokens."""
    choices = Choices(rank=rank, rate=rate, dropout=dropout, decay=decay, epochs=3, batch_tokens=2048)
    return AdapterPlan(rows, choices)


PLANS = {
    "sql": plan(100_000, 1.5e-3, rank=16, dropout=0.05),
    "shell": plan(100_000, 2.5e-3, rank=16, dropout=0.15),
    "extract": plan(20_000, 2e-3, dropout=0.15, decay=0.05),
    "banking": plan(25_000, 2e-3, dropout=0.2, decay=0.1),
    "describe": plan(9_000, 1e-3, dropout=0.1),
    "dates": plan(30_000, 1.5e-3),
    "actions": plan(35_000, 2e-3, dropout=0.15, decay=0.05),
    "cron": plan(40_000, 2e-3),
    "json": plan(20_000, 2e-3),
    "regex": plan(40_000, 2e-3, dropout=0.02),
}
"""Rates, ranks and dropout are those of the variants that valid rows chose for the pack in the repository, which was
trained by an earlier form of the trainer (see its card)."""


def histories(data: Path) -> Iterator[tuple[Message, ...]]:
    """Nothing, after which the chat template writes the default system prompt, or a conversation."""
    rng = random.Random("histories")
    earlier = [row for task in smollm2_data.TASKS for row in smollm2_data.training_rows(data, task, rng)[:EARLIER_ROWS]]
    while True:
        yield smollm2_data.conversation(earlier, rng) if rng.random() < CONVERSATION_SHARE else ()


ADAPTERS = AdapterSet(PLANS, smollm2_data.endless, histories)
