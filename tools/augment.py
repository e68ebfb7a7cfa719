"""Variations of training rows that keep their answers true: against learning small data sets by heart."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

Pool = Mapping[str, Sequence[str]]
"""Slot → values that fill it somewhere in the data."""

WORD_DROP = 0.12
SLOT_SWAP = 0.4


def vary_words(text: str, rng: random.Random) -> str:
    """A message with some words left out or exchanged, or in another case: what it asks stays the same."""
    words = text.split(" ")
    if len(words) > 3 and rng.random() < 0.6:
        kept = [word for word in words if rng.random() >= WORD_DROP]
        words = kept if len(kept) * 3 >= len(words) * 2 else words
    if len(words) > 3 and rng.random() < 0.15:
        i = rng.randrange(len(words) - 1)
        words[i], words[i + 1] = words[i + 1], words[i]
    varied = " ".join(words)
    if rng.random() < 0.25:
        varied = varied.lower()
    if rng.random() < 0.25:
        varied = varied.rstrip("?.!")
    return varied


def slot_values(answers: Iterable[str]) -> dict[str, list[str]]:
    """All values of each slot in JSON answers."""
    pool: defaultdict[str, list[str]] = defaultdict(list)
    for answer in answers:
        for slot, value in json.loads(answer).items():
            pool[slot].append(value)
    return dict(pool)


def vary_slots(message: str, answer: str, pool: Pool, rng: random.Random) -> tuple[str, str]:
    """Puts other values of the same slots into both a message and its JSON answer.

    A value that does not stand exactly once in the message, or that another one contains, stays.
    """
    slots: dict[str, str] = json.loads(answer)
    for slot, value in slots.items():
        others = [other for name, other in slots.items() if name != slot]
        if message.count(value) != 1 or any(value in other or other in value for other in others):
            continue
        if rng.random() < SLOT_SWAP:
            new = rng.choice(pool[slot])
            if not any(new in other or other in new for other in others):
                message = message.replace(value, new)
                slots[slot] = new
    return message, json.dumps(slots, ensure_ascii=False)
