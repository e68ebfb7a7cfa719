"""The options of sampling, each declared here alone: flags, forms, personas and checks are made of the fields."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from dlp_local.core.settings.group import Group

BASE_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"temperature": 0.7, "min_p": 0.1, "repeat_penalty": 1.1, "repeat_last": 256}
)
"""The defaults where the backbone answers for itself; those of the fields are for adapters.

An adapter has one right answer, a command or a date, and greedy decoding finds it. Free text of a small model goes
round in circles then: docs/benchmarks.md has how often.
"""

SEEDS = 0xFFFFFFFF
"""Seeds are 0 to one less: this number itself has llama.cpp draw one, so that the answer could not be had again."""


class Sampling(Group):
    """How the next token is chosen from the backbone's logits; the defaults are those of a mix of adapters.

    Each field is a flag of `ask` and `persona save`, a field of a conversation's options, and a line of the form: its
    title is the label there, its description the help.
    """

    temperature: float = Field(
        0.0, ge=0, le=5, title="Temperature", description="0 always takes the most probable token"
    )
    top_k: int = Field(40, ge=0, title="Top-k", description="only the k most probable tokens; 0 takes all")
    top_p: float = Field(0.95, gt=0, le=1, title="Top-p", description="only the most probable tokens up to this sum")
    min_p: float = Field(0.05, ge=0, le=1, title="Min-p", description="only tokens this probable relative to the best")
    repeat_penalty: float = Field(
        1.0, ge=0.1, le=10, title="Repeat penalty", description="over 1 makes repetition less probable"
    )
    frequency_penalty: float = Field(
        0.0, ge=-2, le=2, title="Frequency penalty", description="taken off a token's logit each time it has come"
    )
    presence_penalty: float = Field(
        0.0, ge=-2, le=2, title="Presence penalty", description="taken off a token's logit where it has come"
    )
    repeat_last: int = Field(
        64,
        ge=-1,
        title="Penalty's reach",
        description="tokens that the repeat penalty looks back on; -1: the whole context",
    )
    seed: int | None = Field(None, ge=0, le=SEEDS - 1, title="Seed", description="the same seed gives the same answer")
    max_tokens: int | None = Field(
        None, ge=1, title="Longest answer", description="most tokens; none: until the context is full"
    )
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), title="Stops", description="texts that end the answer; they are not part of it"
    )

    def for_base(self) -> Sampling:
        """These options for an answer of the backbone itself: what was set, and `BASE_DEFAULTS` for what was not."""
        unset = {name: value for name, value in BASE_DEFAULTS.items() if name not in self.model_fields_set}
        return self.model_copy(update=unset)

    def seeded(self) -> Sampling:
        """The same options with a seed drawn where none is set."""
        return self if self.seed is not None else self.model_copy(update={"seed": secrets.randbelow(SEEDS)})
