"""What a conversation or a persona sets for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Mix, Scope


class ChatOptions(BaseModel):
    """What a conversation or a persona sets for itself; None leaves a value to the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = ""
    system: str | None = None
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    min_p: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = Field(None, ge=0.1, le=10)
    seed: int | None = Field(None, ge=0, le=0xFFFFFFFE)
    max_tokens: int | None = Field(None, ge=1)
    scope: Scope | None = None
    pinned: dict[str, float] | None = None
    """The mix of every turn, in place of the router's; {} is the bare backbone."""

    vetoed: tuple[str, ...] = ()
    """Adapters that the router may not choose."""

    def sampling(self, default: Sampling) -> Sampling:
        """The settings' sampling with what is set here on top."""
        own = self.model_dump(include=set(Sampling.model_fields), exclude_none=True)
        return default.model_copy(update=own)

    @classmethod
    def checked(cls, given: Mapping[str, Any], under: ChatOptions | None = None) -> ChatOptions:
        """Options out of what a user gave, on top of others; raises `InputError` that names every wrong one."""
        try:
            return cls.model_validate((under.model_dump() if under else {}) | dict(given))
        except ValidationError as error:
            problems = [f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
            raise InputError(f"options: {'; '.join(problems)}. Change what was given.") from None

    @property
    def mix(self) -> Mix | None:
        """The pinned mix."""
        return None if self.pinned is None else Mix.of(self.pinned)
