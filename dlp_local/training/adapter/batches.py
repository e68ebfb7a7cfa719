"""Tokens of rows → batches: rows packed together, so that no pass computes much padding, each after its own prefix.

Examples that are packed into one row do not see each other. What stands before an example (system prompt, earlier
turns) is its prefix, computed once by the bare backbone; examples of different prefixes share a row all the same.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]
NOBODY = -1
"""The segment, and the prefix, of padding."""


@dataclass(frozen=True, slots=True)
class Example:
    """The tokens of one user's turn and its answer, which begins at `answer_at` (1 or later), and what precedes it."""

    prefix: Tokens
    tokens: Tokens
    answer_at: int


Packed = Sequence[Example]
"""What shares one row of a batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Packed rows as int64 arrays, all (rows, length) but for `weights`, which are float32.

    `ids`: tokens. `positions`: of a token in its conversation, prefix included. `segments`: which example of its row it
    belongs to, and `of_prefix`: which of `prefixes` it follows. `targets`: the token after it, where that is learned,
    and `weights`: how much that counts, 0 where it is not; those of a row sum to 1.
    """

    prefixes: tuple[Tokens, ...]
    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    segments: NDArray[np.int64]
    of_prefix: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]

    @property
    def tokens(self) -> int:
        """How many tokens are computed, padding apart."""
        return int((self.segments != NOBODY).sum())


def pack(examples: Sequence[Example], length: int) -> list[list[Example]]:
    """Examples in rows of about `length` tokens: the longest first, each into the fullest row that has room.

    One that is longer has a row of its own.
    """
    rows: list[list[Example]] = []
    numbers: dict[int, list[int]] = {}  # of rows, by the room that they have: a heap each
    rooms: list[int] = []  # those that there are, in order
    for example in sorted(examples, key=lambda one: -len(one.tokens)):
        need = len(example.tokens)
        at = bisect_left(rooms, need)
        if at < len(rooms):
            room = rooms[at]
            number = heappop(numbers[room])
            if not numbers[room]:
                del rooms[at]
        else:
            room, number = length, len(rows)
            rows.append([])
        rows[number].append(example)
        left = room - need
        if not numbers.setdefault(left, []):
            insort(rooms, left)
        heappush(numbers[left], number)
    return rows


def batch(rows: Sequence[Packed]) -> Batch:
    """Rows of examples as arrays, padded to the longest; one row for each task where there are several."""
    length = max(sum(len(example.tokens) for example in row) for row in rows)
    shape = (len(rows), length)
    ids, positions, targets = (np.zeros(shape, np.int64) for _ in range(3))
    segments, of_prefix = (np.full(shape, NOBODY, np.int64) for _ in range(2))
    weights = np.zeros(shape, np.float32)
    prefixes = tuple(dict.fromkeys(example.prefix for row in rows for example in row))
    for number, row in enumerate(rows):
        learned = sum(len(example.tokens) - example.answer_at for example in row)
        start = 0
        for segment, example in enumerate(row):
            end = start + len(example.tokens)
            answer = slice(start + example.answer_at - 1, end - 1)
            ids[number, start:end] = example.tokens
            positions[number, start:end] = np.arange(len(example.tokens)) + len(example.prefix)
            segments[number, start:end] = segment
            of_prefix[number, start:end] = prefixes.index(example.prefix)
            targets[number, answer] = example.tokens[example.answer_at :]
            weights[number, answer] = 1 / learned
            start = end
    return Batch(prefixes, ids, positions, segments, of_prefix, targets, weights)


def visible(one: Batch, window: int | None = None) -> NDArray[np.bool_]:
    """What each token attends to: (rows, length, P + length), the P columns of all prefixes one after the other first.

    A token sees the whole of its prefix, and itself and what precedes it in its example. `window`: no further back than
    so many positions, itself counted in.
    """
    owner = np.repeat(np.arange(len(one.prefixes)), [len(prefix) for prefix in one.prefixes])
    at = np.concatenate([np.arange(len(prefix)) for prefix in one.prefixes])
    length = one.ids.shape[1]
    of_prefixes = one.of_prefix[:, :, None] == owner
    of_row = (one.segments[:, :, None] == one.segments[:, None, :]) & np.tri(length, dtype=bool)
    if window is not None:
        of_prefixes &= one.positions[:, :, None] - at < window
        of_row &= one.positions[:, :, None] - one.positions[:, None, :] < window
    return np.concatenate([of_prefixes, of_row], axis=2)


class Feed:
    """The batches of a training, epoch after epoch, the same for the same seed; a task that has fewer rows begins anew.

    An epoch is over when the task with the most has had all of its rows.
    """

    def __init__(self, tasks: Sequence[Sequence[Example]], length: int, seed: int) -> None:
        self._tasks, self._length, self._seed = tasks, length, seed
        self.batches_an_epoch = max(len(pack(examples, length)) for examples in tasks)

    def batches(self, skipped: int = 0) -> Iterator[Batch]:
        """The batches from one on, without an end."""
        streams = zip(*(self._packed(examples) for examples in self._tasks), strict=True)
        return map(batch, islice(streams, skipped, None))

    def _packed(self, examples: Sequence[Example]) -> Iterator[Packed]:
        draw = random.Random(self._seed)
        while True:
            rows = pack(draw.sample(examples, len(examples)), self._length)
            draw.shuffle(rows)
            yield from rows


def all_once(examples: Sequence[Example], length: int) -> list[Batch]:
    """Every example of one task once."""
    return [batch([row]) for row in pack(examples, length)]


def training_tokens(tasks: Sequence[Sequence[Example]]) -> int:
    """The tokens of an epoch whose gradients are computed."""
    return sum(len(example.tokens) for examples in tasks for example in examples)
