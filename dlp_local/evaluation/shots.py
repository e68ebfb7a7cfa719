"""Rows that stand before a message as earlier turns: the examples of few-shot policies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from dlp_local.core.conversation import followed_by
from dlp_local.core.errors import InputError
from dlp_local.core.text import counted
from dlp_local.core.values import Message
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.rows import by_seed, each_once


class Shots:
    """The rows that examples are drawn from."""

    def __init__(self, rows: Sequence[EvalRow]) -> None:
        self._rows = each_once(rows)
        self._of = lru_cache(maxsize=None)(self._in_order)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def before(self, row: EvalRow, count: int, seed: int) -> tuple[Message, ...]:
        """`count` rows of the same task as a conversation, drawn by a seed, never the row itself.

        All rows of a task have the same ones, but for those that are among them, so that the engine reads them once; a
        row of no adapter has those of all. Raises `InputError` where there are too few.
        """
        others = (shot for shot in self._of(row.adapter, seed) if not shot.is_asked_by(row))
        drawn = list(islice(others, count))
        if len(drawn) < count:
            raise InputError(
                f"few-shot: {counted(count, 'row')} of '{row.task}' must stand before one, and the shots have "
                f"{counted(len(drawn), 'other')}. Give more of them in --shots, or ask for fewer."
            )
        turns = [
            message
            for shot in drawn
            for message in (*followed_by(shot.history, shot.text), Message("assistant", shot.answers[0]))
        ]
        return tuple(message for message in turns if message.role != "system")

    def _in_order(self, adapter: str | None, seed: int) -> list[EvalRow]:
        return by_seed((shot for shot in self._rows if adapter is None or shot.adapter == adapter), seed)


NO_SHOTS = Shots(())
