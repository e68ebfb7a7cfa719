"""Completions, whole and in chunks, which have one form."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from dlp_local.server.replies.chat import Receipt, Usage
from dlp_local.server.replies.logprobs import CompletionLogprobs


class CompletionChoice(TypedDict):
    """One of the answers, with its receipt where there are several, or what came of it."""

    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None
    logprobs: CompletionLogprobs | None
    dlp_local: NotRequired[Receipt]


class Completion(TypedDict):
    """The reply to `/v1/completions`; `dlp_local` is the receipt of the first choice, or of the one that ended."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: NotRequired[Usage | None]
    dlp_local: NotRequired[Receipt]
