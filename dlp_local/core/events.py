"""The events of a turn, in the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass

from dlp_local.core.values import FinishReason, Route, ToolCall


@dataclass(frozen=True, slots=True)
class RouteChosen:
    """First event of a turn: how the message was routed (no probabilities where the mix was given by hand)."""

    route: Route


@dataclass(frozen=True, slots=True)
class HistoryTrimmed:
    """The conversation no longer fits the context: its oldest `turns` were left out of this answer."""

    turns: int


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """How far the computation of a conversation is: `done` of `total` tokens are in the cache."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer, in whole characters."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of what the model thinks before it answers, in whole characters; no part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerWasReasoning:
    """All `TextDelta` so far were reasoning, which the model began without saying so; the answer begins here."""


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model asks for a call of a tool; its text is none of the answer."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token, by the bytes that it prints (or its name), and the natural logarithm of its probability."""

    token: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenScores:
    """A token of the answer, and the most probable ones in its place, the best first.

    The probabilities are the model's own: those of the logits before biases, penalties, grammar and sampling. Tokens
    of reasoning and of what ends the answer have none.
    """

    chosen: TokenScore
    best: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """What the engine says at the end of an answer; milliseconds count from the engine's start on the prompt.

    `error` says in plain words what ended the engine, where the reason is "error".
    """

    finish_reason: FinishReason
    prompt_tokens: int
    answer_tokens: int
    context_used: int
    first_token_ms: float
    total_ms: float
    error: str = ""
    cached_tokens: int = 0
    """Of the prompt: those that the engine still had from before."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of one turn: routing, from the message to the first token, and the whole turn."""

    route: float
    first_token: float
    total: float


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """Last event of a turn: the whole answer, the reasoning before it, and its receipt.

    Where the engine ended in the middle, `finish_reason` is "error", `answer` is what had come, and `error` says why.

    `tool_calls` are those that the model asks for; what came before them is the `answer`.

    A message that was answered in parts has the reply to each of its `parts`, also to those that were not come to.
    """

    text: str
    answer: str
    route: Route
    finish_reason: FinishReason
    prompt_tokens: int
    answer_tokens: int
    context_used: int
    context_size: int
    timings: Timings
    error: str = ""
    reasoning: str = ""
    parts: tuple[ReplyDone, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    engine: str = ""
    """The program that computed the answer, and where; nothing where that is this machine's own."""

    cached_tokens: int = 0
    """Of the prompt: those that the engine still had from before."""

    @property
    def tokens_per_second(self) -> float:
        """Speed of the answer, of each of its parts, after the first token; 0 where there was only one."""
        parts = self.parts or (self,)
        tokens = sum(max(part.answer_tokens - 1, 0) for part in parts)
        seconds = sum(part.timings.total - part.timings.first_token for part in parts) / 1000
        return tokens / seconds if tokens and seconds > 0 else 0.0


Event = (
    RouteChosen
    | HistoryTrimmed
    | ReasoningDelta
    | TextDelta
    | AnswerWasReasoning
    | TokenScores
    | ToolCalled
    | ReplyDone
)
