"""The rows of one adapter: read, split and in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.encoding import RowEncoder
from dlp_local.training.adapter.events import TaskRows, TrainingRequest
from dlp_local.training.adapter.replay import split_lessons
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
    if request.replay:
        own = read_training_rows(request.replay).rows
        split = split_lessons(read.rows, own, held_out, anew=request.choices.start is None)
    else:
        split = split_rows(read.rows, held_out)
    train_tokens, train = encoder.encode_all(split.train, request.choices.seed)
    held_out_tokens, held_out_rows = encoder.encode_held_out(split.held_out)
    told = TaskRows(
        train=len(train),
        held_out=len(held_out_rows),
        tokens=sum(len(example.tokens) for example in train_tokens),
        duplicates=read.duplicates,
        leaked=split.leaked,
        ambiguous=read.ambiguous,
        too_long=len(split.train) + len(split.held_out) - len(train) - len(held_out_rows),
    )
    judged = held_out_rows[:MOST_ANSWERED]
    longest = max(encoder.answer_length(row.answer) for row in (*train, *judged))
    return Task(
        name,
        tuple(train),
        tuple(judged),
        train_tokens,
        held_out_tokens[:MOST_ANSWERED],
        told,
        max_tokens=longest + longest // 2 + 8,
    )
