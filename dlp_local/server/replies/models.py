"""The models."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class Model(TypedDict):
    """A model: what a request may name as `model`; `parent` is the one that an adapter is put on.

    `max_model_len` are the tokens of a prompt and its answer; the encoder, which answers nothing, has none.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    parent: str | None
    description: str
    max_model_len: NotRequired[int]


class ModelList(TypedDict):
    """All models with a name of their own."""

    object: Literal["list"]
    data: list[Model]
