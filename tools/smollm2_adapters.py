"""What the adapters of the SmolLM2 pack learn: each message after the default system prompt or a conversation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tools import smollm2_data
from tools.adapter_set import AdapterSet, Choice, Variant
from tools.side_by_side.data import ChatFrame, Tokenize
from tools.side_by_side.trainer import Plan

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CONVERSATION_SHARE = 0.15
LONGEST_PREFIX = 400
"""Tokens of the longest conversation before a step's rows."""

VARIANTS = {
    "sql-a": Variant("sql", Plan(1.5e-3, dropout=0.05, slots=5), 16),
    "sql-b": Variant("sql", Plan(2.5e-3, dropout=0.05, slots=3), 16, 0.3),
    "shell-a": Variant("shell", Plan(1.5e-3, dropout=0.1, slots=2), 16, 0.5),
    "shell-b": Variant("shell", Plan(2.5e-3, dropout=0.15, slots=3), 16, 0.5),
    "extract-a": Variant("extract", Plan(1e-3, dropout=0.1, end=0.5), brevity=0.3),
    "extract-b": Variant("extract", Plan(2e-3, decay=0.05, dropout=0.15, begin=0.5), brevity=0.3),
    "banking-a": Variant("banking", Plan(1e-3, decay=0.1, dropout=0.1, end=0.5), brevity=0.5),
    "banking-b": Variant("banking", Plan(2e-3, decay=0.1, dropout=0.2, begin=0.5), brevity=0.5),
    "describe-a": Variant("describe", Plan(1e-3, dropout=0.1, end=0.35)),
    "describe-b": Variant("describe", Plan(6e-4, dropout=0.05, begin=0.35, end=0.6)),
    "dates-a": Variant("dates", Plan(1.5e-3, begin=0.6)),
    "actions-a": Variant("actions", Plan(1e-3, dropout=0.1), brevity=0.3),
    "actions-b": Variant("actions", Plan(2e-3, decay=0.05, dropout=0.15), brevity=0.3),
    "cron-a": Variant("cron", Plan(2e-3)),
    "units-a": Variant("units", Plan(2e-3, slots=2)),
    "json-a": Variant("json", Plan(2e-3)),
    "regex-a": Variant("regex", Plan(2e-3, dropout=0.02)),
    "proofread-a": Variant("proofread", Plan(1.5e-3, dropout=0.05)),
}
"""24 slots at any time: 128 million tokens in 615 seconds on an H200, going on from adapters that were there."""

CHOSEN = {
    "sql": Choice(("sql-a", "sql-b")),
    "shell": Choice(("shell-b",), "last"),
    "extract": Choice(("extract-b",)),
    "banking": Choice(("banking-b",), "last"),
    "describe": Choice(("describe-a",), "last"),
    "dates": Choice(("dates-a",)),
    "actions": Choice(("actions-b",)),
    "cron": Choice(("cron-a",)),
    "json": Choice(("json-a",)),
    "regex": Choice(("regex-a",)),
}
"""On valid rows. `units` and `proofread` were right too seldom (see the card)."""


def turn(role: str, text: str) -> str:
    """A turn as SmolLM2's chat template renders it."""
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def prefixes(data: Path, tokenize: Tokenize) -> Iterator[list[int]]:
    """The default system prompt, or a conversation."""
    rng = random.Random("prefixes")
    earlier = [row for task in smollm2_data.TASKS for row in smollm2_data.training_rows(data, task, rng)[:1500]]
    plain = tokenize(turn("system", SYSTEM))
    while True:
        if rng.random() >= CONVERSATION_SHARE:
            yield plain
            continue
        turns = smollm2_data.conversation(earlier, rng)
        if turns[0][0] != "system":
            turns.insert(0, ("system", SYSTEM))
        tokens = tokenize("".join(turn(role, text) for role, text in turns))
        if len(tokens) <= LONGEST_PREFIX:
            yield tokens


ADAPTERS = AdapterSet(
    frame=ChatFrame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
    before=turn("system", SYSTEM),
    variants=VARIANTS,
    chosen=CHOSEN,
    rows=smollm2_data.endless,
    valid_rows=smollm2_data.valid_rows,
    prefixes=prefixes,
    batch_rows=10,
    length=224,
    seconds=600,
)
