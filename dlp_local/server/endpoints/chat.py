"""`/v1/chat/completions`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local.core.events import (
    AnswerWasReasoning,
    Event,
    ReasoningDelta,
    ReplyDone,
    RouteChosen,
    TextDelta,
    ToolCalled,
)
from dlp_local.core.serialize import route_json
from dlp_local.core.values import BLANK_LINE, Route, ToolCall
from dlp_local.server.answers import Answers
from dlp_local.server.blame import FieldNames
from dlp_local.server.bodies import parse_body, read_body
from dlp_local.server.disconnect import unless_gone
from dlp_local.server.event_stream import EventStream, Frame
from dlp_local.server.receipts import FINGERPRINT, finish_reason
from dlp_local.server.replies.chat import (
    AssistantMessage,
    Call,
    CallDelta,
    CalledFunction,
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    Receipt,
)
from dlp_local.server.replies.logprobs import Logprobs, token_logprobs
from dlp_local.server.requests.chat import UNUSED, ChatRequest
from dlp_local.server.requests.messages import content_text, conversation
from dlp_local.server.requests.sampling import ALIASES
from dlp_local.server.runner import Ping
from dlp_local.server.service import Service, Turn, check_choices, client_of, service_of

FIELDS = FieldNames("messages")


async def chat_completions(request: Request) -> Response:
    """Answers the last message of a conversation, whole or as a stream."""
    service = service_of(request)
    parsed = parse_body(await read_body(request, service.most_bytes), ChatRequest, UNUSED, ALIASES)
    jobs = [service.job(turn) for turn in _turns(service, parsed.body)]
    calls = parsed.body.parallel_tool_calls
    answers = Answers(service.runner, client_of(request), jobs, parsed.ignored, many_calls=calls)
    completion = _Completion(parsed.body, answers)
    if parsed.body.stream:
        return EventStream(completion.chunks(), answers.headers)
    return JSONResponse(await unless_gone(request.receive, completion.whole()), headers=answers.headers)


def _turns(service: Service, body: ChatRequest) -> list[Turn]:
    """The answers that are asked for; raises `ApiError`."""
    check_choices(body.n, service)
    asked = conversation(body.messages, service.settings.messages)
    mix = body.mix(service.assistant)
    own: dict[str, object] = {"max_tokens": body.longest()} | ({"system": ""} if asked.has_system else {})
    options = [body.options(service.assistant, choice, **own) for choice in range(body.n)]
    answer_format = body.answer_format()
    return [
        Turn(
            asked.text,
            asked.history,
            of_choice,
            FIELDS,
            mix,
            asked.answer_prefix,
            asked.tool_messages,
            answer_format,
            body.earlier_answers(),
        )
        for of_choice in options
    ]


class _Completion:
    """The reply to one request."""

    def __init__(self, body: ChatRequest, answers: Answers) -> None:
        self._body, self._answers = body, answers
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._tells_usage = bool(body.stream_options and body.stream_options.include_usage)

    async def whole(self) -> ChatCompletion:
        """All choices; raises `ApiError`, also where an answer broke off."""
        replies = await self._answers.finish()
        return ChatCompletion(
            id=self._id,
            object="chat.completion",
            created=self._created,
            model=self._body.model,
            system_fingerprint=FINGERPRINT,
            choices=[self._choice(index, reply) for index, reply in enumerate(replies)],
            usage=self._answers.usage(),
            dlp_local=self._answers.receipt(replies[0]),
        )

    async def chunks(self) -> AsyncGenerator[Frame, None]:
        """The events of the stream, for each choice: its role and route, what comes of the answer, and its receipt."""
        routes: dict[int, Route] = {}
        async with aclosing(self._answers.events()) as events:
            async for item in events:
                if isinstance(item, Ping):
                    yield ""
                    continue
                index, event = item
                if isinstance(event, RouteChosen):
                    routes[index] = event.route
                    continue
                if index in routes:  # what is wrong with the message is known by now, and is the reply's status
                    yield self._chunk(index, Delta(role="assistant", content=""), route_json(routes.pop(index)))
                if chunk := self._chunk_of(index, event):
                    yield chunk
        if self._tells_usage:
            yield self._envelope([]) | {"usage": self._answers.usage()}
        yield "[DONE]"

    def _chunk_of(self, index: int, event: Event) -> ChatCompletionChunk | None:
        match event:
            case TextDelta(text):
                return self._chunk(index, Delta(content=text))
            case ReasoningDelta(text):
                return self._chunk(index, Delta(reasoning_content=text))
            case AnswerWasReasoning():
                return self._chunk(index, Delta(content=BLANK_LINE), {"answer_was_reasoning": True})
            case ToolCalled(call):
                number = len(self._answers.calls(index)) - 1
                return self._chunk(index, Delta(tool_calls=[CallDelta(index=number, **_call(call))]))
            case ReplyDone():
                return self._chunk(index, Delta(), self._answers.receipt(event), finish_reason(event))
        return None

    def _chunk(
        self, index: int, delta: Delta, extra: Receipt | None = None, reason: FinishReason | None = None
    ) -> ChatCompletionChunk:
        choice = ChunkChoice(index=index, delta=delta, finish_reason=reason, logprobs=self._logprobs(index))
        chunk = self._envelope([choice])
        if extra is not None:
            chunk["dlp_local"] = extra
        return chunk

    def _envelope(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        chunk = ChatCompletionChunk(
            id=self._id,
            object="chat.completion.chunk",
            created=self._created,
            model=self._body.model,
            system_fingerprint=FINGERPRINT,
            choices=choices,
        )
        if self._tells_usage:
            chunk["usage"] = None
        return chunk

    def _choice(self, index: int, reply: ReplyDone) -> Choice:
        content = self._continuation(reply)
        message = AssistantMessage(role="assistant", content=content, refusal=None)
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.tool_calls:
            message["tool_calls"] = [_call(call) for call in reply.tool_calls]
            message["content"] = content or None
        reason, logprobs = finish_reason(reply), self._logprobs(index)
        if logprobs is None and self._body.logprobs:
            logprobs = Logprobs(content=[], refusal=None)
        choice = Choice(index=index, message=message, finish_reason=reason, logprobs=logprobs)
        if self._body.n > 1:
            choice["dlp_local"] = self._answers.receipt(reply)
        return choice

    def _logprobs(self, index: int) -> Logprobs | None:
        """Those of the tokens since the last chunk; without one, of all."""
        scores = self._answers.take_scores(index)
        return Logprobs(content=token_logprobs(scores), refusal=None) if scores else None

    def _continuation(self, reply: ReplyDone) -> str:
        """The answer without the beginning that the request gave."""
        last = self._body.messages[-1]
        return reply.answer.removeprefix(content_text(last.content, "")) if last.role == "assistant" else reply.answer


def _call(call: ToolCall) -> Call:
    return Call(id=call.id, type="function", function=CalledFunction(name=call.name, arguments=call.arguments))
