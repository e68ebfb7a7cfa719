"""The answer to one text under one mix: what the engine gives becomes the events of a turn and their receipt."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial

from dlp_local.another_answer import draw
from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.events import (
    AnswerWasReasoning,
    Event,
    Generated,
    ReasoningDelta,
    ReplyDone,
    TextDelta,
    Timings,
    ToolCalled,
)
from dlp_local.core.job import Cancellation
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Route, Scope, ToolCall
from dlp_local.engine.base import Engine


def answer_text(
    engine: Engine,
    messages: Sequence[Message],
    route: Route,
    sampling: Sampling,
    scope: Scope | None,
    answer_format: AnswerFormat,
    answer_prefix: str,
    earlier: Sequence[EarlierAnswer],
    cancellation: Cancellation,
) -> Generator[Event, None, None]:
    """The events of an answer to the last of `messages`, the route's text, under the route's mix; `ReplyDone` at last.

    `answer_prefix` is the beginning of the answer, to go on with. What `earlier` has of the same text under the same
    mix is not given again.
    """
    if answer_prefix:
        messages = [*messages, Message("assistant", answer_prefix)]
    generate = partial(engine.generate, messages, route.mix, scope=scope, answer_format=answer_format)
    taken = {one.answer for one in earlier if one.is_to(route.text, route.mix)}
    answer, reasoning, calls = answer_prefix, "", list[ToolCall]()
    with closing(draw(generate, sampling, taken, cancellation)) as events:
        for event in events:
            match event:
                case Generated():
                    yield ReplyDone(
                        text=route.text,
                        answer=answer,
                        route=route,
                        finish_reason=event.finish_reason,
                        prompt_tokens=event.prompt_tokens,
                        answer_tokens=event.answer_tokens,
                        context_used=event.context_used,
                        context_size=engine.context_size,
                        timings=Timings(
                            route.total_ms, route.total_ms + event.first_token_ms, route.total_ms + event.total_ms
                        ),
                        error=event.error,
                        reasoning=reasoning.strip(),
                        tool_calls=tuple(calls),
                        engine=engine.capabilities.remote,
                        cached_tokens=event.cached_tokens,
                    )
                    continue
                case TextDelta(piece):
                    answer += piece
                case ReasoningDelta(piece):
                    reasoning += piece
                case ToolCalled(call):
                    calls.append(call)
                case AnswerWasReasoning():
                    answer, reasoning = "", reasoning + answer
                    calls.clear()
            yield event
