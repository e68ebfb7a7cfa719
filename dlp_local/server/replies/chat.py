"""Chat completions, whole and in chunks."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

FinishReason = Literal["stop", "length", "tool_calls"]
Receipt = dict[str, Any]
"""How the message was routed and what the answer cost: the fields of `ask --json`."""


class Usage(TypedDict):
    """Tokens of all choices; the prompt counts once."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(TypedDict):
    """An answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]


class Choice(TypedDict):
    """One of the answers, with its receipt where there are several."""

    index: int
    message: AssistantMessage
    finish_reason: FinishReason
    logprobs: None
    dlp_local: NotRequired[Receipt]


class ChatCompletion(TypedDict):
    """The reply to `/v1/chat/completions`; `dlp_local` is the receipt of the first choice."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    dlp_local: Receipt


class Delta(TypedDict):
    """What came of an answer."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str]
    reasoning_content: NotRequired[str]


class ChunkChoice(TypedDict):
    """What came of one of the answers; the receipt comes with the finish reason, and the route before everything."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None
    logprobs: None


class ChatCompletionChunk(TypedDict):
    """One event of a streamed reply."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]
    dlp_local: NotRequired[Receipt]
