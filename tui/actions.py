"""What a user can decide about the routing of a turn, about the adapters of the pack, and where to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dlp_local.core.values import Mix

BARE = Mix()
RoutingActionKind = Literal["pin", "unpin", "veto", "retry", "compare", "correct", "uncorrect"]
AdapterActionKind = Literal["add", "enable", "disable", "remove"]


@dataclass(frozen=True, slots=True)
class RoutingAction:
    """What the user decided about a turn's routing: `adapter` or `mix` says with what, `part` of which of its parts."""

    kind: RoutingActionKind
    mix: Mix = BARE
    adapter: str = ""
    part: int | None = None


@dataclass(frozen=True, slots=True)
class AdapterAction:
    """What is to be done with an adapter of the pack; one to `add` has no name yet."""

    kind: AdapterActionKind
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class ChosenConversation:
    """The conversation to open, and the turn to go to there, if one was searched for, by these words."""

    number: int
    turn: int | None = None
    words: str = ""
