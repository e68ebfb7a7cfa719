"""The settings of routing: how probabilities become a mix."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dlp_local.core.settings.group import Group


class Routing(Group):
    """How probabilities become a mix."""

    top_p: float = Field(0.9, gt=0, le=1, description="keep the most probable entries until they reach this sum")
    max_adapters: int = Field(4, ge=1, le=32, description="mix at most so many entries")
    normalize: Literal["proportional", "softmax"] = Field("proportional", description="weights of what was kept")
    encoder_threads: int = Field(1, ge=1, le=256, description="threads of the encoder and the router")
    split: bool = Field(True, description="answer a message of several tasks in parts, each under its own mix")
    split_at: float = Field(0.95, gt=0.5, le=1, description="so probable must the adapter of each part be")
