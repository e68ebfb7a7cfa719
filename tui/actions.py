"""What a user can decide about the routing of a turn, and about the adapters of the pack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dlp_local.core.values import Mix

BARE = Mix()
RoutingActionKind = Literal["pin", "unpin", "veto", "again", "beside", "wrong"]
AdapterActionKind = Literal["add", "enable", "disable", "remove"]


@dataclass(frozen=True, slots=True)
class RoutingAction:
    """What the user decided about a turn's routing; `adapter` or `mix` says with what."""

    deed: RoutingActionKind
    mix: Mix = BARE
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class AdapterAction:
    """What is to be done with an adapter of the pack; one to `add` has no name yet."""

    deed: AdapterActionKind
    adapter: str = ""
