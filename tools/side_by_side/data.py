"""Rows → batches: examples of one adapter packed into rows of one length, so that no pass computes much padding.

An example is tokenized as the chat template renders it, from the last user's turn on; what stands before it (system
prompt, earlier turns) is the batch's prefix. Examples packed into one row do not see each other: `segments` says which
token is whose.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dlp_local.training.adapter import batches as adapter_batches

Tensor = Any
Tokenize = Callable[[str], list[int]]
NOBODY = -1
"""The segment of padding."""


@dataclass(frozen=True, slots=True)
class Example:
    """Tokens of one user's turn and its answer, which begins at `answer_at`."""

    tokens: tuple[int, ...]
    answer_at: int


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """How a chat template renders one user's turn: `before` + message + `after` + answer + `end`."""

    before: str
    after: str
    end: str

    def prompt(self, message: str, tokenize: Tokenize) -> list[int]:
        """The tokens of a user's turn, up to where its answer starts."""
        return tokenize(f"{self.before}{message}{self.after}")

    def example(self, message: str, answer: str, tokenize: Tokenize) -> Example:
        """A row's tokens."""
        prompt = self.prompt(message, tokenize)
        return Example((*prompt, *tokenize(f"{answer}{self.end}")), len(prompt))


@dataclass(frozen=True, slots=True)
class Batch:
    """Packed rows as int64 and float32 arrays, all (rows, length).

    `ids`: tokens. `positions`: of a token in its example. `segments`: the example in the row, `NOBODY` for padding.
    `targets`: the token after it where that is learned, and `weights`: how much that counts, 0 where it is not.
    """

    ids: Any
    positions: Any
    segments: Any
    targets: Any
    weights: Any


def pack(examples: Sequence[Example], length: int) -> list[list[Example]]:
    """Examples in rows of at most `length` tokens: the longest first, each into the fullest row that has room.

    Raises `ValueError` for an example that is longer than a row.
    """
    if longest := max((len(example.tokens) for example in examples if len(example.tokens) > length), default=0):
        raise ValueError(f"an example of {longest} tokens in rows of {length}")
    return adapter_batches.pack(examples, length)


def batch(rows: Sequence[Sequence[Example]], length: int, brevity: float = 0.0) -> Batch:
    """Rows of examples as arrays.

    A token's weight is its answer's length to minus `brevity`: with 0 all tokens count alike, with 1 all answers.
    """
    shape = (len(rows), length)
    ids, positions, targets = (np.zeros(shape, np.int64) for _ in range(3))
    segments, weights = np.full(shape, NOBODY, np.int64), np.zeros(shape, np.float32)
    for row, examples in enumerate(rows):
        start = 0
        for segment, example in enumerate(examples):
            count = len(example.tokens)
            end, answer = start + count, slice(start + example.answer_at - 1, start + count - 1)
            ids[row, start:end] = example.tokens
            positions[row, start:end] = range(count)
            segments[row, start:end] = segment
            targets[row, answer] = example.tokens[example.answer_at :]
            weights[row, answer] = (count - example.answer_at) ** -brevity
            start = end
    return Batch(ids, positions, segments, targets, weights)


def batches(
    examples: Iterator[Example], rows: int, length: int, rng: random.Random, brevity: float = 0.0, pool: int = 16
) -> Iterator[Batch]:
    """Packs an endless stream of examples into batches of `rows` rows, some `pool` of them at a time.

    Longer examples than a row are left out.
    """
    kept: list[list[Example]] = []
    while True:
        tokens, drawn = 0, []
        while tokens < pool * rows * length:
            example = next(examples)
            if len(example.tokens) <= length:
                drawn.append(example)
                tokens += len(example.tokens)
        kept += pack(drawn, length)
        rng.shuffle(kept)
        while len(kept) >= rows:
            yield batch(kept[:rows], length, brevity)
            kept = kept[rows:]


def attention_bias(segments: Tensor, prefix: int, padding: int, dtype: Any) -> Tensor:
    """What is added to attention's scores, (R, 1, L, P + padding + L) of `segments` (R, L): 0 or minus infinity.

    A token attends to the whole prefix, not to `padding` columns after it, and to itself and what precedes it in its
    segment.
    """
    length = segments.shape[1]
    same = (segments[:, :, None] == segments[:, None, :]).tril()
    bias = torch.zeros(len(segments), 1, length, prefix + padding + length, dtype=dtype, device=segments.device)
    bias[..., prefix : prefix + padding] = -torch.inf
    bias[:, 0, :, prefix + padding :].masked_fill_(~same, -torch.inf)
    return bias
