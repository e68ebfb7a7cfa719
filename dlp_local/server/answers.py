"""The answers to one request: their events, and what is known of them when they have ended."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from dlp_local.core.events import Event, HistoryTrimmed, ReplyDone, RouteChosen, TokenScores, ToolCalled
from dlp_local.core.job import Job
from dlp_local.core.values import ToolCall
from dlp_local.server.errors import ApiError
from dlp_local.server.receipts import broken_off, mix_header, receipt
from dlp_local.server.replies.chat import PromptTokensDetails, Usage
from dlp_local.server.runner import JobRunner, Ping


class Answers:
    """Runs the jobs of a request, one for each choice.

    `headers` are filled in when the first choice's route is known, before which no event is told, `replies` (in the
    order of the jobs) and `trimmed`, the turns that did not fit, as the answers end.
    """

    def __init__(
        self,
        runner: JobRunner,
        client: str,
        jobs: Sequence[Job[Event]],
        ignored: Sequence[str],
        *,
        may_trim: bool = True,
        many_calls: bool = True,
    ) -> None:
        """`ignored` are the fields of the request without effect.

        Without `may_trim`, as a response may have it, a long conversation is refused; without `many_calls` the first
        call of an answer is the only one.
        """
        self._runner, self._client, self._jobs = runner, client, jobs
        self._ignored, self._may_trim, self._many_calls = ignored, may_trim, many_calls
        self._calls: defaultdict[int, list[ToolCall]] = defaultdict(list)
        self._scores: defaultdict[int, list[TokenScores]] = defaultdict(list)
        self._done: dict[int, ReplyDone] = {}
        self.trimmed = 0
        self.headers: dict[str, str] = {}

    async def events(self) -> AsyncGenerator[tuple[int, Event] | Ping, None]:
        """The events of all answers as they come, each with its answer's number; calls have their ids.

        Raises what the jobs raise, and `ApiError` where an answer is broken off.
        """
        early: list[tuple[int, Event]] = []  # what came before the route that the headers tell
        async with self._runner.run(self._client, self._jobs) as items:
            async for item in items:
                if isinstance(item, Ping):
                    yield item
                    continue
                early.append(item)
                if item[0] == 0 and isinstance(item[1], RouteChosen):
                    self.headers |= mix_header(item[1].route)
                if self.headers:
                    for index, event in early:
                        if told := self._noted(index, event):
                            yield index, told
                    early.clear()

    async def finish(self) -> list[ReplyDone]:
        """All answers when they have ended."""
        async for _ in self.events():
            pass
        return self.replies

    @property
    def replies(self) -> list[ReplyDone]:
        """Those that have ended."""
        return [self._done[index] for index in sorted(self._done)]

    def calls(self, index: int) -> list[ToolCall]:
        """The calls that an answer has asked for so far."""
        return self._calls[index]

    def take_scores(self, index: int) -> list[TokenScores]:
        """The log probabilities of an answer's tokens that have come since they were taken last."""
        return self._scores.pop(index, [])

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts; the one of several choices counts once."""
        return sum({reply.text: reply.prompt_tokens for reply in self.replies}.values())

    @property
    def cached_tokens(self) -> int:
        """Of those: what the engine still had from before, for the choice that came first."""
        fewest: dict[str, int] = {}
        for reply in self.replies:
            fewest[reply.text] = min(reply.cached_tokens, fewest.get(reply.text, reply.cached_tokens))
        return sum(fewest.values())

    @property
    def answer_tokens(self) -> int:
        """Tokens of all answers."""
        return sum(reply.answer_tokens for reply in self.replies)

    def usage(self) -> Usage:
        """Tokens as `/v1/chat/completions` and `/v1/completions` tell them."""
        prompt, answers = self.prompt_tokens, self.answer_tokens
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=answers,
            total_tokens=prompt + answers,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=self.cached_tokens),
        )

    def receipt(self, reply: ReplyDone) -> dict[str, Any]:
        """What is told of how an answer came about."""
        return receipt(reply, self.trimmed, self._ignored)

    def _noted(self, index: int, event: Event) -> Event | None:
        """An event as it is told; None for one that is not."""
        match event:
            case HistoryTrimmed() if not self._may_trim:
                raise ApiError(
                    400, "the conversation is longer than the context. Send less of it, or truncation auto.",
                    param="input", code="context_length_exceeded",
                )  # fmt: skip
            case HistoryTrimmed(turns):
                self.trimmed = turns
            case TokenScores():
                self._scores[index].append(event)
            case ToolCalled() if self._calls[index] and not self._many_calls:
                return None
            case ToolCalled(call):
                event = ToolCalled(replace(call, id=f"call_{secrets.token_hex(12)}"))
                self._calls[index].append(event.call)
            case ReplyDone(finish_reason="error"):
                raise broken_off(event)
            case ReplyDone():
                event = self._done[index] = replace(event, tool_calls=tuple(self._calls[index]))
        return event
