"""Chat completions, whole and in chunks."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from dlp_local.server.replies.logprobs import Logprobs

FinishReason = Literal["stop", "length", "tool_calls"]
Receipt = dict[str, Any]
"""How the message was routed and what the answer cost: the fields of `ask --json`."""


class PromptTokensDetails(TypedDict):
    """Tokens of the prompt that the engine still had from before."""

    cached_tokens: int


class Usage(TypedDict):
    """Tokens of all choices; the prompt counts once."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class CalledFunction(TypedDict):
    """A function that is to be called, with its arguments as JSON text."""

    name: str
    arguments: str


class Call(TypedDict):
    """A call that the model asks for."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class CallDelta(Call):
    """A call within a stream, where it comes whole."""

    index: int


class AssistantMessage(TypedDict):
    """An answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[Call]]


class Choice(TypedDict):
    """One of the answers, with its receipt where there are several."""

    index: int
    message: AssistantMessage
    finish_reason: FinishReason
    logprobs: Logprobs | None
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
    tool_calls: NotRequired[list[CallDelta]]


class ChunkChoice(TypedDict):
    """What came of one of the answers; the receipt comes with the finish reason, and the route before everything."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None
    logprobs: Logprobs | None


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
