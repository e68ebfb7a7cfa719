"""What is trained on and judged by where an adapter learns from lessons, which are few, and is to forget nothing.

Trained on are all lessons, each as often as makes them half of the rows, and some rows of the adapter's own (experience
replay, arXiv 1811.11682). Judged by are the lessons themselves, for these are what it is to answer from now on, and
rows of its own that it was never trained on, which show what it forgot.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from dlp_local.training.adapter.rows import FEWEST, SplitRows, TrainingRow, split_rows

REPLAYED, FEWEST_REPLAYED = 4, 40
"""Rows of the adapter's own that are trained on for each lesson, and how many at least, if there are as many."""

MOST_REPEATED = 8
"""How often a lesson is trained on at most, beside rows that are trained on once."""

MOST_JUDGED = 30
"""Lessons that it is judged by; as many rows of its own then have room beside them."""


def split_lessons(
    lessons: Sequence[TrainingRow],
    own: Sequence[TrainingRow],
    held_out: Sequence[TrainingRow] | None = None,
    *,
    anew: bool = False,
) -> SplitRows:
    """Lessons and some rows of the adapter's own to train on, and what to judge by where that is not given.

    An answer of its own that a lesson mended is left out. `anew`: the adapter begins anew, and so learns all of its own
    again. Raises `InputError` for too few rows.
    """
    taught = {row.messages for row in lessons}
    others = [row for row in own if row.messages not in taught]
    if len(others) < FEWEST:
        return split_rows((*lessons, *others), held_out)
    split = split_rows(others, held_out)
    wanted = len(split.train) if anew else max(REPLAYED * len(lessons), FEWEST_REPLAYED)
    count = min(wanted, len(split.train))
    replayed = random.Random(0).sample(split.train, count)
    times = min(max(count // len(lessons), 1), MOST_REPEATED)
    if held_out is None:
        return SplitRows((*(tuple(lessons) * times), *replayed), (*lessons[:MOST_JUDGED], *split.held_out))
    learned = split_rows(lessons, held_out).train
    return SplitRows((*(learned * times), *replayed), split.held_out, split.leaked)
