"""The options of sampling, each declared here alone: flags, forms, personas and checks are made of the fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dlp_local.core.settings.group import Group


class Sampling(Group):
    """How the next token is chosen from the backbone's logits.

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
    repeat_last: int = Field(
        64, ge=-1, title="Penalty's reach", description="tokens that the penalty looks back on; -1: the whole context"
    )
    seed: int | None = Field(None, ge=0, le=0xFFFFFFFE, title="Seed", description="the same seed gives the same answer")
    max_tokens: int = Field(512, ge=1, title="Longest answer", description="most tokens of an answer")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), title="Stops", description="texts that end the answer; they are not part of it"
    )
