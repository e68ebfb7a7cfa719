"""dlp-local: a private assistant on your own laptop, one backbone and many LoRA adapters mixed per message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlp_local.core.events import (
    AnswerWasReasoning,
    HistoryTrimmed,
    ReasoningDelta,
    ReplyDone,
    RouteChosen,
    TextDelta,
)
from dlp_local.core.values import Message, Mix, Route

if TYPE_CHECKING:
    from dlp_local.assistant import Assistant
    from dlp_local.opening import open_assistant

    __version__: str

__all__ = [
    "AnswerWasReasoning",
    "Assistant",
    "HistoryTrimmed",
    "Message",
    "Mix",
    "ReasoningDelta",
    "ReplyDone",
    "Route",
    "RouteChosen",
    "TextDelta",
    "open_assistant",
]


def __getattr__(name: str) -> Any:
    # The assistant brings the engine and onnxruntime along; the window is painted before they are loaded.
    if name == "Assistant":
        from dlp_local.assistant import Assistant

        return Assistant
    if name == "open_assistant":
        from dlp_local.opening import open_assistant

        return open_assistant
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("dlp-local")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0"
    raise AttributeError(f"module 'dlp_local' has no attribute '{name}'")
