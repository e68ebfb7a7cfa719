"""dlp-local: a private assistant on your own laptop, one backbone and many LoRA adapters mixed per message."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from dlp_local.records import HistoryTrimmed, Message, Mix, ReplyDone, Route, RouteChosen, TextDelta

if TYPE_CHECKING:
    from dlp_local.assistant import Assistant

try:
    __version__ = version("dlp-local")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0"

__all__ = ["Assistant", "HistoryTrimmed", "Message", "Mix", "ReplyDone", "Route", "RouteChosen", "TextDelta"]


def __getattr__(name: str) -> Any:
    # The assistant brings the engine and onnxruntime along; the window is painted before they are loaded.
    if name == "Assistant":
        from dlp_local.assistant import Assistant

        return Assistant
    raise AttributeError(f"module 'dlp_local' has no attribute '{name}'")
