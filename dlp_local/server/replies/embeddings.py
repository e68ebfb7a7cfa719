"""Embeddings and routes."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict


class Embedding(TypedDict):
    """A vector of unit length, as numbers or as base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(TypedDict):
    """Tokens of all texts, as far as they were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(TypedDict):
    """The reply to `/v1/embeddings`."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


class RouteReply(TypedDict):
    """The reply to `/v1/route`: probabilities, the most probable first, and the mix made of them."""

    text: str
    mix: dict[str, float]
    probabilities: dict[str, float]
    timings_ms: dict[str, float]
    parts: NotRequired[list[dict[str, Any]]]
