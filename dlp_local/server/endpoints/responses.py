"""`/v1/responses`."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from starlette import responses as http
from starlette.requests import Request

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
from dlp_local.core.values import BLANK_LINE, Message
from dlp_local.server.answers import Answers
from dlp_local.server.blame import FieldNames
from dlp_local.server.bodies import parse_body, read_body
from dlp_local.server.disconnect import unless_gone
from dlp_local.server.errors import ApiError
from dlp_local.server.event_stream import EventStream, Frame
from dlp_local.server.receipts import finish_reason
from dlp_local.server.replies.chat import Receipt
from dlp_local.server.replies.responses import (
    DeletedResponse,
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    Response,
    ResponseError,
    ResponseEvent,
    ResponseUsage,
)
from dlp_local.server.requests.formats import ToolChoice, chosen_tool
from dlp_local.server.requests.messages import split_off_last
from dlp_local.server.requests.responses import SCHEMA_FIELD, UNUSED, ResponseRequest
from dlp_local.server.requests.sampling import ALIASES
from dlp_local.server.response_items import ResponseItems
from dlp_local.server.runner import Ping
from dlp_local.server.service import Service, Turn, client_of, owner_of, service_of


async def responses(request: Request) -> http.Response:
    """Answers what is new in a conversation, whole or as a stream."""
    service = service_of(request)
    parsed = parse_body(await read_body(request, service.most_bytes), ResponseRequest, UNUSED, ALIASES)
    body = parsed.body
    said = [*_said_before(service, owner_of(request), body), *body.messages(service.settings.messages)]
    answers = Answers(
        service.runner,
        client_of(request),
        [service.job(_turn(service, body, said))],
        parsed.ignored,
        may_trim=body.truncation == "auto",
        many_calls=body.parallel_tool_calls,
    )
    reply = _Reply(service, owner_of(request), body, answers, said)
    if body.stream:
        return EventStream(reply.events(), answers.headers, named=True)
    return http.JSONResponse(await unless_gone(request.receive, reply.whole()), headers=answers.headers)


def _said_before(service: Service, owner: str, body: ResponseRequest) -> Sequence[Message]:
    if body.previous_response_id is None:
        return ()
    stored = service.responses.get(owner, body.previous_response_id)
    if stored is None:
        raise ApiError(
            400, f"previous_response_id: '{body.previous_response_id[:64]}' is not here, or no longer. Send the whole "
            "conversation.", param="previous_response_id", code="previous_response_not_found",
        )  # fmt: skip
    return stored.conversation


def _turn(service: Service, body: ResponseRequest, said: Sequence[Message]) -> Turn:
    asked = split_off_last(said, "input")
    own: dict[str, object] = {"max_tokens": body.longest()}
    if body.instructions is not None or asked.has_system:
        own["system"] = body.instructions or ""
    return Turn(
        asked.text,
        asked.history,
        body.options(service.assistant, 0, **own),
        FieldNames("input", SCHEMA_FIELD),
        body.mix(service.assistant),
        asked.answer_prefix,
        asked.tool_messages,
        body.answer_format(),
        body.earlier_answers(),
    )


class _Reply:
    """The response to one request."""

    def __init__(
        self, service: Service, owner: str, body: ResponseRequest, answers: Answers, said: Sequence[Message]
    ) -> None:
        self._service, self._owner, self._body, self._answers, self._said = service, owner, body, answers, said
        self._items = ResponseItems()
        self._response = _begun(body)

    async def whole(self) -> Response:
        """The response when it has ended; raises `ApiError`, also where the answer broke off."""
        async with aclosing(self._answers.events()) as events:
            async for item in events:
                if not isinstance(item, Ping):
                    for _ in self._told(item[1]):
                        pass
        return self._response

    async def events(self) -> AsyncGenerator[Frame, None]:
        """The events of the stream; an answer that breaks off ends with `response.failed`."""
        chosen: RouteChosen | None = None
        is_begun = False
        async with aclosing(self._answers.events()) as events:
            try:
                async for item in events:
                    if isinstance(item, Ping):
                        yield ""
                        continue
                    if isinstance(item[1], RouteChosen):
                        chosen = item[1]
                        continue
                    if chosen and not is_begun:
                        is_begun = True
                        for event in self._beginning(route_json(chosen.route)):
                            yield event
                    for event in self._told(item[1]):
                        yield event
            except ApiError as error:
                if not is_begun:
                    raise
                for event in self._failed(error):
                    yield event

    def _beginning(self, route: Receipt) -> Iterator[ResponseEvent]:
        self._response["dlp_local"] = route
        yield self._items.event("response.created", response=self._response)
        yield self._items.event("response.in_progress", response=self._response)

    def _told(self, event: Event) -> Iterator[ResponseEvent]:
        match event:
            case TextDelta(text):
                yield from self._items.text(text, self._answers.take_scores(0))
            case ReasoningDelta(text):
                yield from self._items.reasoning(text)
            case AnswerWasReasoning():
                yield from self._items.text(BLANK_LINE, ())
            case ToolCalled(call):
                yield from self._items.call(call)
            case ReplyDone():
                yield from self._end(event)

    def _end(self, reply: ReplyDone) -> Iterator[ResponseEvent]:
        is_cut = finish_reason(reply) == "length"
        if not self._items.output:
            yield from self._items.text("", ())
        yield from self._items.close("incomplete" if is_cut else "completed")
        response = self._response
        response["status"] = "incomplete" if is_cut else "completed"
        response["incomplete_details"] = IncompleteDetails(reason="max_output_tokens") if is_cut else None
        response["output"] = self._items.output
        response["usage"] = self._usage()
        response["dlp_local"] = self._answers.receipt(reply)
        if self._body.store:
            answer = Message("assistant", reply.answer, reply.tool_calls)
            self._service.responses.add(self._owner, response, (*self._without_begun(), answer))
        yield self._items.event(f"response.{response['status']}", response=response)

    def _without_begun(self) -> Sequence[Message]:
        """What was said, without the beginning of the answer, which the answer holds."""
        is_begun = self._said[-1].role == "assistant" and not self._said[-1].tool_calls
        return self._said[:-1] if is_begun else self._said

    def _failed(self, error: ApiError) -> Iterator[ResponseEvent]:
        yield from self._items.close("incomplete")
        self._response["status"] = "failed"
        self._response["error"] = ResponseError(code="server_error", message=error.message)
        self._response["output"] = self._items.output
        yield self._items.event("response.failed", response=self._response)

    def _usage(self) -> ResponseUsage:
        prompt, answer = self._answers.prompt_tokens, self._answers.answer_tokens
        return ResponseUsage(
            input_tokens=prompt,
            input_tokens_details=InputTokensDetails(cached_tokens=self._answers.cached_tokens, cache_write_tokens=0),
            output_tokens=answer,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
            total_tokens=prompt + answer,
        )


def _begun(body: ResponseRequest) -> Response:
    """The response before anything has come."""
    form = body.text.format
    return Response(
        id=f"resp_{secrets.token_hex(16)}",
        object="response",
        created_at=int(time.time()),
        status="in_progress",
        error=None,
        incomplete_details=None,
        background=False,
        instructions=body.instructions,
        max_output_tokens=body.longest(),
        metadata=body.metadata,
        model=body.model,
        output=[],
        parallel_tool_calls=body.parallel_tool_calls,
        previous_response_id=body.previous_response_id,
        store=body.store,
        temperature=body.temperature,
        text={"format": form.model_dump(by_alias=True, exclude_unset=True) | {"type": form.type}},
        tool_choice=_choice(body.tool_choice),
        tools=[tool.model_dump() for tool in body.tools],
        top_p=body.top_p,
        truncation=body.truncation,
        usage=None,
    )


def _choice(choice: ToolChoice) -> str | dict[str, str]:
    """A choice as the API of responses writes it."""
    return choice if isinstance(choice, str) else {"type": "function", "name": chosen_tool(choice)}


async def stored_response(request: Request) -> http.Response:
    """A response that was kept."""
    stored = service_of(request).responses.get(owner_of(request), request.path_params["id"])
    if stored is None:
        raise _no_response()
    return http.JSONResponse(stored.response)


async def delete_response(request: Request) -> http.Response:
    """Forgets a response."""
    number = request.path_params["id"]
    if not service_of(request).responses.remove(owner_of(request), number):
        raise _no_response()
    return http.JSONResponse(DeletedResponse(id=number, object="response", deleted=True))


def _no_response() -> ApiError:
    return ApiError(404, "there is no response of this id, or no longer.", code="response_not_found")
