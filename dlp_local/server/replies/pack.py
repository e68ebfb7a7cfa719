"""What is served."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class PackAdapter(TypedDict):
    """An adapter, also one that is switched off."""

    name: str
    description: str
    enabled: bool


class DefaultOfOption(TypedDict):
    """What holds for an option that a request leaves alone: where adapters answer, where base does, and who says so."""

    value: Any
    base: Any
    source: Literal["default", "settings", "pack"]


class Pack(TypedDict):
    """The pack that answers; the fields of a window over it."""

    name: str
    greeting: str
    examples: list[str]
    adapters: list[PackAdapter]
    context_size: int
    concurrent_replies: int
    option_defaults: dict[str, DefaultOfOption]
