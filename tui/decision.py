"""What a user can decide about the routing of a turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dlp_local.records import Mix

BARE = Mix()
Deed = Literal["pin", "unpin", "veto", "again", "beside", "wrong"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the user decided about a turn's routing; `adapter` or `mix` says with what."""

    deed: Deed
    mix: Mix = BARE
    adapter: str = ""
