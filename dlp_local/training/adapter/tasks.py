"""The rows of one adapter: read, split and in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.encoding import RowEncoder
from dlp_local.training.adapter.events import TaskRows, TrainingRequest
from dlp_local.training.adapter.rows import TrainingRow, read_training_rows, split_rows

MOST_ANSWERED = 60
"""Held-out rows that are answered under each mix."""


@dataclass(frozen=True, slots=True)
class Task:
    """One adapter's rows, as they are and in tokens. `max_tokens`: as long as an answer may get."""

    name: str
    train: tuple[TrainingRow, ...]
    held_out: tuple[TrainingRow, ...]
    train_tokens: list[Example]
    held_out_tokens: list[Example]
    told: TaskRows
    max_tokens: int


def read_task(name: str, request: TrainingRequest, encoder: RowEncoder) -> Task:
    """The rows of an adapter; raises `InputError` for those that cannot be used."""
    read = read_training_rows(request.rows[name])
    held_out = read_training_rows(request.held_out).rows if request.held_out else None
    split = split_rows(read.rows, held_out)
    train_tokens, too_long = encoder.encode_all(split.train, request.choices.seed)
    judged = split.held_out[:MOST_ANSWERED]
    told = TaskRows(
        train=len(train_tokens),
        held_out=len(split.held_out),
        tokens=sum(len(example.tokens) for example in train_tokens),
        duplicates=read.duplicates,
        leaked=split.leaked,
        ambiguous=read.ambiguous,
        too_long=len(too_long),
    )
    longest = max(encoder.answer_length(row.answer) for row in (*split.train, *judged))
    return Task(
        name,
        tuple(row for row in split.train if row not in too_long),
        judged,
        train_tokens,
        [encoder.encode(row) for row in judged],
        told,
        max_tokens=longest + longest // 2 + 8,
    )
