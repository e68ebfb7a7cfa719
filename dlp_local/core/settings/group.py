"""What the groups of settings have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dlp_local.core.fields import value_type


class Group(BaseModel):
    """Settings that belong together; frozen, and a name that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic takes true for 1: `max_tokens = true` would mean answers of one token."""
        if isinstance(value, bool) and value_type(cls.model_fields[str(info.field_name)]) in (int, float):
            raise PydanticCustomError("bool_for_number", "a number is wanted")
        return value
