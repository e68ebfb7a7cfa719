"""The models."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Model(TypedDict):
    """A model: what a request may name as `model`; `parent` is the one that an adapter is put on."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    parent: str | None
    description: str
    max_model_len: int


class ModelList(TypedDict):
    """All models with a name of their own."""

    object: Literal["list"]
    data: list[Model]
