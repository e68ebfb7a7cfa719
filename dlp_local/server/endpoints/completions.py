"""`/v1/completions`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local.core.events import AnswerWasReasoning, Event, ReplyDone, TextDelta
from dlp_local.core.values import BLANK_LINE
from dlp_local.server.answers import Answers
from dlp_local.server.blame import FieldNames
from dlp_local.server.bodies import parse_body, read_body
from dlp_local.server.disconnect import unless_gone
from dlp_local.server.event_stream import EventStream, Frame
from dlp_local.server.receipts import FINGERPRINT, finish_reason
from dlp_local.server.replies.chat import Receipt
from dlp_local.server.replies.completions import Completion, CompletionChoice
from dlp_local.server.replies.logprobs import completion_logprobs
from dlp_local.server.requests.completions import UNUSED, CompletionRequest
from dlp_local.server.requests.sampling import ALIASES
from dlp_local.server.runner import Ping
from dlp_local.server.service import Service, Turn, check_choices, client_of, service_of


async def completions(request: Request) -> Response:
    """Answers one text or several, whole or as a stream."""
    service = service_of(request)
    parsed = parse_body(await read_body(request, service.most_bytes), CompletionRequest, UNUSED, ALIASES)
    body = parsed.body
    turns = _turns(service, body)
    answers = Answers(service.runner, client_of(request), [service.job(turn) for turn in turns], parsed.ignored)
    completion = _Completion(body, answers, [turn.text for turn in turns])
    if body.stream:
        return EventStream(completion.chunks(), answers.headers)
    return JSONResponse(await unless_gone(request.receive, completion.whole()), headers=answers.headers)


def _turns(service: Service, body: CompletionRequest) -> list[Turn]:
    """The answers that are asked for, those to each text one after another; raises `ApiError`."""
    prompts = body.prompts()
    check_choices(len(prompts) * body.n, service)
    mix, answer_format = body.mix(service.assistant), body.answer_format()
    options = [body.options(service.assistant, choice) for choice in range(body.n)]
    return [
        Turn(
            prompt,
            (),
            own,
            FieldNames(place),
            mix,
            answer_format=answer_format,
            earlier_answers=body.earlier_answers(),
            goes_on=False,
        )
        for place, prompt in prompts.items()
        for own in options
    ]


class _Completion:
    """The reply to one request."""

    def __init__(self, body: CompletionRequest, answers: Answers, prompts: Sequence[str]) -> None:
        self._body, self._answers, self._prompts = body, answers, prompts
        self._id = f"cmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._offsets = [0] * len(prompts)

    async def whole(self) -> Completion:
        """All choices; raises `ApiError`, also where an answer broke off."""
        replies = await self._answers.finish()
        choices = [self._whole_choice(index, reply) for index, reply in enumerate(replies)]
        completion = self._envelope(choices, self._answers.receipt(replies[0]))
        completion["usage"] = self._answers.usage()
        return completion

    def _whole_choice(self, index: int, reply: ReplyDone) -> CompletionChoice:
        choice = self._choice(index, reply.answer, self._echo(index), _finish_reason(reply))
        if len(self._prompts) > 1:
            choice["dlp_local"] = self._answers.receipt(reply)
        if choice["logprobs"] is None and self._body.logprobs is not None:
            choice["logprobs"] = completion_logprobs((), self._offsets[index])
        return choice

    async def chunks(self) -> AsyncGenerator[Frame, None]:
        """The events of the stream."""
        begun = set[int]()
        async with aclosing(self._answers.events()) as events:
            async for item in events:
                if isinstance(item, Ping):
                    yield ""
                    continue
                index, event = item
                if chunk := self._chunk_of(index, event, "" if index in begun else self._echo(index)):
                    begun.add(index)
                    yield chunk
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield self._envelope([]) | {"usage": self._answers.usage()}
        yield "[DONE]"

    def _chunk_of(self, index: int, event: Event, echo: str) -> Completion | None:
        match event:
            case TextDelta(text):
                return self._envelope([self._choice(index, text, echo)])
            case AnswerWasReasoning():
                return self._envelope([self._choice(index, BLANK_LINE, echo)], {"answer_was_reasoning": True})
            case ReplyDone():
                choice = self._choice(index, "", echo, _finish_reason(event))
                return self._envelope([choice], self._answers.receipt(event))
        return None

    def _choice(
        self, index: int, text: str, echo: str, reason: Literal["stop", "length"] | None = None
    ) -> CompletionChoice:
        scores = self._answers.take_scores(index)
        start = self._offsets[index] + len(echo)
        self._offsets[index] = start + len(text)
        logprobs = completion_logprobs(scores, start) if scores else None
        return CompletionChoice(index=index, text=echo + text, finish_reason=reason, logprobs=logprobs)

    def _echo(self, index: int) -> str:
        return self._prompts[index] if self._body.echo else ""

    def _envelope(self, choices: list[CompletionChoice], extra: Receipt | None = None) -> Completion:
        completion = Completion(
            id=self._id,
            object="text_completion",
            created=self._created,
            model=self._body.model,
            system_fingerprint=FINGERPRINT,
            choices=choices,
        )
        if extra is not None:
            completion["dlp_local"] = extra
        return completion


def _finish_reason(reply: ReplyDone) -> Literal["stop", "length"]:
    return "stop" if finish_reason(reply) == "stop" else "length"
