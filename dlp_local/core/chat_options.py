"""What a conversation or a persona sets for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from dlp_local.core.errors import InputError
from dlp_local.core.fields import problems
from dlp_local.core.settings import Sampling
from dlp_local.core.text import ended
from dlp_local.core.values import Mix, Scope


def _optional(group: type[BaseModel]) -> type[BaseModel]:
    """A model with the fields of a group of settings, of which each may be None: left to the settings."""
    fields: dict[str, Any] = {}
    for name, field in group.model_fields.items():
        unset = Field(None, title=field.title, description=field.description)
        fields[name] = (Annotated[Optional[field.annotation], *field.metadata, unset], None)  # noqa: UP045
    return create_model(f"{group.__name__}Options", __config__=ConfigDict(extra="forbid"), **fields)


class ChatOptions(_optional(Sampling), BaseModel):  # type: ignore[misc]
    """What a conversation or a persona sets for itself; None leaves a value to the settings.

    Every option of `Sampling` is one here, too. The titles are the labels of the form.
    """

    model_config = ConfigDict(frozen=True)

    persona: str = Field("", title="Persona", description="a name keeps all this for other conversations")
    system: str | None = Field(None, title="System prompt", description="what the model is told before anything else")
    scope: Scope | None = Field(
        None, title="Scope", description="'turn': adapters from the last message on; 'context': over the history, too"
    )
    pinned: dict[str, float] | None = Field(
        None, title="Pinned mix", description="instead of routing: sql=0.7,shell=0.3 or base"
    )
    """The mix of every turn, in place of the router's; {} is the bare backbone."""

    vetoed: tuple[str, ...] = Field((), title="Vetoed adapters", description="never chosen: sql, shell")
    """Adapters that the router may not choose."""

    split: bool | None = Field(
        None, title="Split", description="true: several tasks are answered in parts; false: as one"
    )

    def sampling(self, default: Sampling) -> Sampling:
        """The settings' sampling with what is set here on top."""
        own = self.model_dump(include=set(Sampling.model_fields), exclude_none=True)
        return default.model_copy(update=own)

    @classmethod
    def checked(cls, values: Mapping[str, Any], under: ChatOptions | None = None) -> ChatOptions:
        """Options out of what a user gave, on top of others; raises `InputError` that names every wrong one."""
        try:
            return cls.model_validate((under.model_dump() if under else {}) | dict(values))
        except ValidationError as error:
            raise InputError(f"options: {ended(problems(error, cls))}") from None

    @property
    def mix(self) -> Mix | None:
        """The pinned mix."""
        return None if self.pinned is None else Mix.of(self.pinned)
