"""Measures what carrying a turn's probabilities over to the next message does, on two-turn rows.

The first turn is a valid message of a task, or of `base`; the second is a follow-up, an answer to a question about a
booking (`requested`), a message of another task, or small talk, whose task is known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dlp_local.core.values import BASE, most_probable
from dlp_local.routing.follow_up import carry_over
from dlp_local.routing.router import Router

Floats = npt.NDArray[np.float32]
Turn = tuple[Floats, Floats, str]
"""Probabilities of a message alone, those of the turn before it, and the label that is right."""

ANY = "any"
"""The label of follow-ups that could follow anything."""


def measure(
    router: Router,
    valid: Mapping[str, Floats],
    follow_ups: Mapping[str, Floats],
    new_follow_ups: Mapping[str, Floats],
    answers: Floats,
    questions: Floats,
    turns: int = 10,
    seed: int = 1,
) -> dict[str, dict[str, float]]:
    """Top-1 of each kind of second turn, alone and with the first turn carried over.

    `valid` and the follow-ups hold embeddings (n, dims) by label, `follow_ups` those of any task under `ANY`; `answers`
    are messages of `extract` that answer a question, `questions` are `sql` rows without their columns. Follow-ups come
    after `turns` random first turns each.
    """
    rng = random.Random(seed)
    tasks = [label for label in valid if label != BASE]
    rows = {label: router.probabilities(vectors) for label, vectors in valid.items()}
    after = {label: router.probabilities(vectors) for label, vectors in follow_ups.items()}
    new = {label: router.probabilities(vectors) for label, vectors in new_follow_ups.items()}

    def turn(message: Floats, first: str, right: str) -> Turn:
        return message, rng.choice(rows[first]), right

    def some(label: str, count: int) -> list[Floats]:
        return rng.sample(list(rows[label]), min(count, len(rows[label])))

    kinds = {
        "follow-up of a task": [turn(m, t, t) for t in tasks for m in after[t] for _ in range(turns)],
        "follow-up of a task in new words": [turn(m, t, t) for t in new for m in new[t] for _ in range(turns)],
        "follow-up of anything": [turn(m, t, t) for t in tasks for m in after[ANY] for _ in range(turns)],
        "answer about a booking": [turn(p, "extract", "extract") for p in router.probabilities(answers)],
        "another task": [turn(m, f, t) for t in tasks for m in some(t, 200) for f in rows if f != t],
        "question without columns": [
            turn(m, f, "sql") for m in router.probabilities(questions) for f in rows if f != "sql"
        ],
        "base after a task": [turn(m, f, BASE) for m in some(BASE, 700) for f in tasks],
    }
    return {kind: _top1(router.labels, found) | {"rows": len(found)} for kind, found in kinds.items() if found}


def _top1(labels: Sequence[str], turns: Sequence[Turn]) -> dict[str, float]:
    """The share of turns whose most probable label is right."""
    alone = carried = 0
    for message, before, right in turns:
        own = dict(zip(labels, message.tolist(), strict=True))
        both = carry_over(own, dict(zip(labels, before.tolist(), strict=True)))
        alone += most_probable(own) == right
        carried += most_probable(both) == right
    return {"alone": round(alone / len(turns), 4), "carried": round(carried / len(turns), 4)}
