"""dlp-local: a private assistant on your own laptop, one backbone and many LoRA adapters mixed per message."""

# The program begins here, before it can catch Ctrl+C: nothing is imported that is not asked for.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from dlp_local.assistant import Assistant
    from dlp_local.core.events import (
        AnswerWasReasoning,
        HistoryTrimmed,
        ReasoningDelta,
        ReplyDone,
        RouteChosen,
        TextDelta,
    )
    from dlp_local.core.values import Message, Mix, Route
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

_PLACES = {
    "Assistant": "dlp_local.assistant",
    "open_assistant": "dlp_local.opening",
    **dict.fromkeys(("Message", "Mix", "Route"), "dlp_local.core.values"),
}
"""Where a name is; the others are events."""


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(_PLACES.get(name, "dlp_local.core.events")), name)
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("dlp-local")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0"
    raise AttributeError(f"module 'dlp_local' has no attribute '{name}'")
