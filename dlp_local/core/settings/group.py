"""What the groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """Settings that belong together; frozen, and a name that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
