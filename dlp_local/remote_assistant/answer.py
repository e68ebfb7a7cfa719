"""An answer of the server: the request for it, and the events of a turn that its stream is."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.errors import EngineError
from dlp_local.core.events import (
    AnswerWasReasoning,
    Event,
    HistoryTrimmed,
    ReasoningDelta,
    ReplyDone,
    RouteChosen,
    TextDelta,
    Timings,
)
from dlp_local.core.job import Cancellation
from dlp_local.core.serialize import earlier_answer_json, messages_json, reply_from_json, route_from_json
from dlp_local.core.settings import Sampling
from dlp_local.core.values import FinishReason, Message, Mix, Route
from dlp_local.remote_assistant.connection import ConnectionLostError, ServerConnection


@dataclass(frozen=True, slots=True)
class Question:
    """A message to be answered, in what comes before and under what is set."""

    text: str
    history: Sequence[Message]
    mix: Mix | None
    options: ChatOptions
    answer_prefix: str = ""
    earlier_answers: Sequence[EarlierAnswer] = ()
    """The answer is to be none of these."""

    @property
    def chosen_mix(self) -> Mix | None:
        """The mix that was given by hand or is pinned; None where the message is routed."""
        return self.options.mix if self.mix is None else self.mix

    def body(self) -> dict[str, Any]:
        """The request for it."""
        options = self.options
        messages = messages_json(self.history)
        if options.system:
            messages.insert(0, {"role": "system", "content": options.system})
        messages.append({"role": "user", "content": self.text})
        if self.answer_prefix:
            messages.append({"role": "assistant", "content": self.answer_prefix})
        routing: dict[str, Any] = {"veto": list(options.vetoed), "split": options.split, "scope": options.scope}
        if (mix := self.chosen_mix) is not None:
            routing |= {"mix": dict(mix.weights), "veto": []}
        if self.earlier_answers:
            routing["earlier_answers"] = [earlier_answer_json(one) for one in self.earlier_answers]
        return {
            "model": "auto",
            "messages": messages,
            "stream": True,
            "dlp_local": {name: value for name, value in routing.items() if value is not None},
            **options.model_dump(mode="json", include=set(Sampling.model_fields), exclude_none=True),
        }


def answer_events(
    connection: ServerConnection, question: Question, context_size: int, cancellation: Cancellation
) -> Generator[Event, None, None]:
    """The events of the turn. Where it is stopped, or the connection breaks off in the middle, what came is the answer.

    Raises `InputError` and `EngineError` where the server refuses, or is gone before the route is known.
    """
    stream = _Stream(connection, question, context_size)
    chunks = connection.events("/v1/chat/completions", question.body(), cancellation)
    with closing(chunks):
        try:
            yield from stream.events(chunks)
        except ConnectionLostError as error:
            if cancellation.requested:
                yield stream.cut("cancelled")
            elif stream.route is None:
                raise
            else:
                yield stream.cut("error", str(error))


class _Stream:
    """What came of an answer so far."""

    def __init__(self, connection: ServerConnection, question: Question, context_size: int) -> None:
        self._url, self._question, self._context_size = connection.url, question, context_size
        self.route: Route | None = None
        self._answer, self._reasoning = question.answer_prefix, ""
        self._started = time.perf_counter()
        self._first_token = 0.0
        self._pieces = 0

    def events(self, chunks: Generator[Any, None, None]) -> Generator[Event, None, None]:
        """Those of all chunks, `ReplyDone` at the end."""
        for chunk in chunks:
            try:
                events = self._read(chunk)
            except (LookupError, TypeError, AttributeError, ValueError) as error:
                raise EngineError(
                    f"the server {self._url} answers in a form that is not known here ({error}). Is it of this version?"
                ) from None
            yield from events
            if events and isinstance(events[-1], ReplyDone):
                return
        raise ConnectionLostError(f"the server {self._url} ended in the middle.")

    def _read(self, chunk: Mapping[str, Any]) -> list[Event]:
        extra = chunk.get("dlp_local") or {}
        if error := chunk.get("error"):
            return self._broken(error, extra)
        (choice,) = chunk["choices"] or [{"delta": {}}]
        events: list[Event] = []
        if "answer_was_reasoning" in extra:
            self._reasoning += self._answer
            self._answer = ""
            return [AnswerWasReasoning()]
        if extra and self.route is None:
            self.route = route_from_json(extra)
            events.append(RouteChosen(self.route))
        if text := choice["delta"].get("reasoning_content"):
            self._count_piece()
            self._reasoning += text
            events.append(ReasoningDelta(text))
        if text := choice["delta"].get("content"):
            self._count_piece()
            self._answer += text
            events.append(TextDelta(text))
        if choice.get("finish_reason"):
            if trimmed := int(extra.get("history_trimmed", 0)):
                events.append(HistoryTrimmed(trimmed))
            events.append(reply_from_json(self._question.text, self._answer, extra))
        return events

    def _broken(self, error: Mapping[str, Any], receipt: Mapping[str, Any]) -> list[Event]:
        """The end of an answer that broke off on the server: its receipt, where one comes along.

        Raises `ConnectionLostError` where none does; what is to be done then is told to the user in any case.
        """
        if "finish_reason" not in receipt:
            raise ConnectionLostError(str(error["message"]).removesuffix(" Ask again."))
        done = reply_from_json(self._question.text, str(receipt["answer"]), receipt)
        return [done] if self.route else [RouteChosen(done.route), done]

    def cut(self, reason: FinishReason, error: str = "") -> ReplyDone:
        """What there is of an answer whose end was not told, by the clock here.

        Its tokens are the pieces of text that came: at least so many, for a fast engine sends several in one. What the
        prompt takes of the context is not known; it is 0.
        """
        route = self.route or Route(self._question.text, {}, self._question.chosen_mix or Mix())
        now = self._milliseconds()
        times = Timings(route.total_ms, self._first_token or now, now)
        return ReplyDone(
            self._question.text, self._answer, route, reason, 0, self._pieces, 0, self._context_size, times, error,
            self._reasoning,
        )  # fmt: skip

    def _count_piece(self) -> None:
        self._first_token = self._first_token or self._milliseconds()
        self._pieces += 1

    def _milliseconds(self) -> float:
        return (time.perf_counter() - self._started) * 1000
