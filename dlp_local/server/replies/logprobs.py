"""Log probabilities of an answer's tokens, in the forms of the three APIs."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from dlp_local.core.events import TokenScore, TokenScores


class TopLogprob(TypedDict):
    """One of the most probable tokens; `bytes` are what it prints, of which the text may be half a character."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the answer, and the most probable ones in its place."""

    top_logprobs: list[TopLogprob]


class Logprobs(TypedDict):
    """Of a chat completion's choice."""

    content: list[TokenLogprob]
    refusal: None


class CompletionLogprobs(TypedDict):
    """Of a completion's choice."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


def token_logprobs(scores: Sequence[TokenScores]) -> list[TokenLogprob]:
    """Each token with its bytes and those that might have stood there."""
    return [
        TokenLogprob(**_token(score.chosen), top_logprobs=[_token(other) for other in score.best]) for score in scores
    ]


def _token(score: TokenScore) -> TopLogprob:
    return TopLogprob(token=_text(score), logprob=score.logprob, bytes=list(score.token))


def _text(score: TokenScore) -> str:
    return score.token.decode("utf-8", "replace")


def completion_logprobs(scores: Sequence[TokenScores], offset: int) -> CompletionLogprobs:
    """The tokens of a completion whose first one stands at an offset of characters."""
    tokens = [_text(score.chosen) for score in scores]
    offsets = [offset + sum(map(len, tokens[:index])) for index in range(len(tokens))]
    return CompletionLogprobs(
        tokens=tokens,
        token_logprobs=[score.chosen.logprob for score in scores],
        top_logprobs=[{_text(other): other.logprob for other in score.best} for score in scores],
        text_offset=offsets,
    )
