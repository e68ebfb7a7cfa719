"""The answers to one request: their events, and what is known of them when they have ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from dlp_local.core.events import Event, HistoryTrimmed, ReplyDone, RouteChosen
from dlp_local.core.job import Job
from dlp_local.server.errors import ApiError
from dlp_local.server.receipts import broken_off, mix_header, receipt
from dlp_local.server.runner import JobRunner, Ping


class Answers:
    """Runs the jobs of a request, one for each choice.

    `headers` are filled in when the first route is known, `replies` (in the order of the jobs) and `trimmed`, the
    turns that did not fit, as the answers end.
    """

    def __init__(
        self,
        runner: JobRunner,
        client: str,
        jobs: Sequence[Job[Event]],
        ignored: Sequence[str],
        *,
        may_trim: bool = True,
    ) -> None:
        """`ignored` are the fields of the request without effect; without `may_trim` a long conversation is refused."""
        self._runner, self._client, self._jobs = runner, client, jobs
        self._ignored, self._may_trim = ignored, may_trim
        self._done: dict[int, ReplyDone] = {}
        self.trimmed = 0
        self.headers: dict[str, str] = {}

    async def events(self) -> AsyncGenerator[tuple[int, Event] | Ping, None]:
        """The events of all answers as they come, each with its answer's number.

        Raises what the jobs raise, and `ApiError` where an answer is broken off.
        """
        async with self._runner.run(self._client, self._jobs) as items:
            async for item in items:
                if not isinstance(item, Ping):
                    self._note(*item)
                yield item

    async def finish(self) -> list[ReplyDone]:
        """All answers when they have ended."""
        async for _ in self.events():
            pass
        return self.replies

    @property
    def replies(self) -> list[ReplyDone]:
        """Those that have ended."""
        return [self._done[index] for index in sorted(self._done)]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts; the one of several choices counts once."""
        return sum({reply.text: reply.prompt_tokens for reply in self.replies}.values())

    @property
    def answer_tokens(self) -> int:
        """Tokens of all answers."""
        return sum(reply.answer_tokens for reply in self.replies)

    def receipt(self, reply: ReplyDone) -> dict[str, Any]:
        """What is told of how an answer came about."""
        return receipt(reply, self.trimmed, self._ignored)

    def _note(self, index: int, event: Event) -> None:
        match event:
            case RouteChosen(route) if not self.headers:
                self.headers |= mix_header(route)
            case HistoryTrimmed() if not self._may_trim:
                raise ApiError(
                    400, "the conversation is longer than the context. Send less of it, or truncation auto.",
                    code="context_length_exceeded",
                )  # fmt: skip
            case HistoryTrimmed(turns):
                self.trimmed = turns
            case ReplyDone(finish_reason="error"):
                raise broken_off(event)
            case ReplyDone():
                self._done[index] = event
