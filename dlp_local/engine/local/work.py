"""What a running reply asks the backbone to compute next, and how it is told what came of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from dlp_local.core.events import PromptProgress
from dlp_local.core.values import Weights
from dlp_local.engine.base import EngineEvent
from dlp_local.engine.prompt import Tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of a prompt, in a batch of their own, the first at `position` of a sequence, under a mix.

    `left`: how many are still to be read there, with these.
    """

    tokens: Tokens
    position: int
    sequence: int
    weights: Weights
    left: int


@dataclass(frozen=True, slots=True)
class NextToken:
    """One token of an answer; it may share its batch with those of other answers."""

    token: int
    position: int
    sequence: int
    weights: Weights


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, until there is room again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing in this step: another one reads what this one wants to share."""


class PreemptedError(Exception):
    """Thrown into a running computation whose cells another one needs: it gives them back and pauses, or ends."""


Work = Piece | NextToken | Pause | Wait
Result = TypeVar("Result")

Computation = Generator[Work | EngineEvent | PromptProgress, int | None, Result]
"""Yields events, to be passed on, and work. It goes on with the row of the logits of the work's last token; with
None where its cancellation ended the work early, and after a pause or a wait."""
