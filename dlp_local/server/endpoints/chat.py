"""`/v1/chat/completions`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local import __version__
from dlp_local.core.events import (
    AnswerWasReasoning,
    Event,
    HistoryTrimmed,
    ReasoningDelta,
    ReplyDone,
    RouteChosen,
    TextDelta,
)
from dlp_local.core.job import Job
from dlp_local.core.serialize import route_json
from dlp_local.core.values import BLANK_LINE
from dlp_local.server.bodies import Parsed, parse_body, read_body
from dlp_local.server.disconnect import unless_gone
from dlp_local.server.errors import ApiError
from dlp_local.server.event_stream import EventStream, Frame
from dlp_local.server.receipts import broken_off, finish_reason, mix_header, receipt
from dlp_local.server.replies.chat import (
    AssistantMessage,
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    Usage,
)
from dlp_local.server.requests.chat import UNUSED, ChatRequest
from dlp_local.server.requests.messages import conversation
from dlp_local.server.requests.sampling import ALIASES
from dlp_local.server.runner import Ping
from dlp_local.server.service import Service, Turn, client_of, service_of


async def chat_completions(request: Request) -> Response:
    """Answers the last message of a conversation, whole or as a stream."""
    service = service_of(request)
    body = await read_body(request, service.settings.body_megabytes << 20)
    parsed = parse_body(body, ChatRequest, UNUSED, ALIASES)
    jobs = [service.job(turn) for turn in _turns(service, parsed.body)]
    answer = _Completion(service, client_of(request), parsed, jobs)
    if parsed.body.stream:
        return EventStream(answer.chunks(), answer.headers)
    completion = await unless_gone(request.receive, answer.whole())
    return JSONResponse(completion, headers=answer.headers)


def _turns(service: Service, body: ChatRequest) -> list[Turn]:
    """The answers that are asked for; raises `ApiError`."""
    if body.n > service.settings.choices:
        raise ApiError(400, f"n: {service.settings.choices} at most.", param="n", code="invalid_value")
    asked = conversation(body.messages, service.settings.messages)
    mix = body.mix(service.assistant)
    own: dict[str, object] = {"max_tokens": body.longest()} | ({"system": ""} if asked.has_system else {})
    options = [body.options(service.assistant, choice, **own) for choice in range(body.n)]
    return [Turn(asked.text, asked.history, of_choice, mix, asked.answer_prefix) for of_choice in options]


class _Completion:
    """The reply to one request; `headers` are known when its first event has come."""

    def __init__(self, service: Service, client: str, parsed: Parsed[ChatRequest], jobs: Sequence[Job[Event]]) -> None:
        self._service, self._client, self._jobs = service, client, jobs
        self._body, self._ignored = parsed.body, parsed.ignored
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._replies: dict[int, ReplyDone] = {}
        self._trimmed = 0
        self.headers: dict[str, str] = {}

    async def whole(self) -> ChatCompletion:
        """All choices; raises `ApiError`, also where an answer broke off."""
        async with self._service.runner.run(self._client, self._jobs) as items:
            async for item in items:
                if not isinstance(item, Ping):
                    self._note(*item)
        replies = [self._replies[index] for index in sorted(self._replies)]
        return ChatCompletion(
            id=self._id,
            object="chat.completion",
            created=self._created,
            model=self._body.model,
            system_fingerprint=f"dlp-local {__version__}",
            choices=[self._choice(index, reply) for index, reply in enumerate(replies)],
            usage=self._usage(),
            dlp_local=self._receipt(replies[0]),
        )

    async def chunks(self) -> AsyncGenerator[Frame, None]:
        """The events of the stream, for each choice: its role and route, what comes of the answer, and its receipt."""
        routes: dict[int, RouteChosen] = {}
        async with self._service.runner.run(self._client, self._jobs) as items:
            async for item in items:
                if isinstance(item, Ping):
                    yield ""
                    continue
                index, event = item
                self._note(index, event)
                if isinstance(event, RouteChosen):
                    routes[index] = event
                    continue
                if index in routes:  # what is wrong with the message is known by now, and is the reply's status
                    yield self._first_chunk(index, routes.pop(index))
                if chunk := self._chunk(index, event):
                    yield chunk
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield self._envelope([]) | {"usage": self._usage()}
        yield "[DONE]"

    def _note(self, index: int, event: Event) -> None:
        match event:
            case RouteChosen(route) if not self.headers:
                self.headers |= mix_header(route)
            case HistoryTrimmed(turns):
                self._trimmed = turns
            case ReplyDone(finish_reason="error"):
                raise broken_off(event)
            case ReplyDone():
                self._replies[index] = event

    def _first_chunk(self, index: int, chosen: RouteChosen) -> ChatCompletionChunk:
        chunk = self._envelope([_chunk_choice(index, Delta(role="assistant", content=""))])
        chunk["dlp_local"] = route_json(chosen.route)
        return chunk

    def _chunk(self, index: int, event: Event) -> ChatCompletionChunk | None:
        match event:
            case TextDelta(text):
                return self._envelope([_chunk_choice(index, Delta(content=text))])
            case ReasoningDelta(text):
                return self._envelope([_chunk_choice(index, Delta(reasoning_content=text))])
            case AnswerWasReasoning():
                chunk = self._envelope([_chunk_choice(index, Delta(content=BLANK_LINE))])
                chunk["dlp_local"] = {"answer_was_reasoning": True}
                return chunk
            case ReplyDone():
                reason = cast(FinishReason, finish_reason(event.finish_reason))
                chunk = self._envelope([_chunk_choice(index, Delta(), reason)])
                chunk["dlp_local"] = self._receipt(event)
                return chunk
        return None

    def _envelope(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        chunk = ChatCompletionChunk(
            id=self._id,
            object="chat.completion.chunk",
            created=self._created,
            model=self._body.model,
            system_fingerprint=f"dlp-local {__version__}",
            choices=choices,
        )
        if self._body.stream_options and self._body.stream_options.include_usage:
            chunk["usage"] = None
        return chunk

    def _choice(self, index: int, reply: ReplyDone) -> Choice:
        message = AssistantMessage(role="assistant", content=self._continuation(reply), refusal=None)
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        reason = cast(FinishReason, finish_reason(reply.finish_reason))
        choice = Choice(index=index, message=message, finish_reason=reason, logprobs=None)
        if len(self._jobs) > 1:
            choice["dlp_local"] = self._receipt(reply)
        return choice

    def _continuation(self, reply: ReplyDone) -> str:
        """The answer without the beginning that the request gave."""
        last = self._body.messages[-1]
        prefix = last.content if last.role == "assistant" and isinstance(last.content, str) else ""
        return reply.answer.removeprefix(prefix)

    def _receipt(self, reply: ReplyDone) -> dict[str, object]:
        return receipt(reply, self._trimmed, self._ignored)

    def _usage(self) -> Usage:
        prompt = max(reply.prompt_tokens for reply in self._replies.values())
        answers = sum(reply.answer_tokens for reply in self._replies.values())
        return Usage(prompt_tokens=prompt, completion_tokens=answers, total_tokens=prompt + answers)


def _chunk_choice(index: int, delta: Delta, reason: FinishReason | None = None) -> ChunkChoice:
    return ChunkChoice(index=index, delta=delta, finish_reason=reason, logprobs=None)
