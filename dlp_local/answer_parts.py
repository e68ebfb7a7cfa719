"""The answer to a message of several tasks: the answers to its parts, in order, with a blank line between them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from dlp_local.core.events import AnswerWasReasoning, Event, HistoryTrimmed, ReplyDone, TextDelta, Timings
from dlp_local.core.values import BLANK_LINE, FinishReason, Route

AnswerPart = Callable[[Route, str, int | None], Generator[Event, None, None]]
"""Answers the text of a route, going on with the beginning of an answer, in at most so many tokens where there is a
number; the last event is `ReplyDone`."""

_WORST: tuple[FinishReason, ...] = ("error", "cancelled", "length", "loop", "stop")
"""What ended the answer is the first of these that ended one of its parts."""


def answer_parts(
    route: Route, answer: AnswerPart, most: int | None = None, begun: Sequence[ReplyDone] = ()
) -> Generator[Event, None, None]:
    """The events of the answers to all parts of a route as those of one answer; the last one is the whole `ReplyDone`.

    All of them have at most `most` new tokens together; a part that none are left for was cut. `begun` are the replies
    to the parts of an answer to go on with, one for each. Those that are whole stay, and text comes from the end of
    `begun_answer` on. Where a part ends by an error or is cancelled, so does the answer.
    """
    replies: list[ReplyDone] = []
    shown, trimmed = _first_cut(begun), 0
    for index, part in enumerate(route.parts):
        before, answered = begun[index] if begun else None, _joined(replies)
        prefix, break_ = before.answer if before else "", BLANK_LINE if answered else ""
        if prefix and index > shown:
            yield TextDelta(f"{break_}{prefix}")
        if before and (index < shown or _is_whole(before)):
            replies.append(before)
            continue
        if most == 0:
            replies.append(before or _unanswered(part, "length"))
            continue
        break_ = "" if prefix else break_
        with closing(answer(part, prefix, most)) as events:
            for event in events:
                match event:
                    case ReplyDone():
                        replies.append(event)
                        continue
                    case HistoryTrimmed(turns):
                        if turns <= trimmed:
                            continue
                        trimmed = turns
                    case TextDelta(text):
                        event, break_ = TextDelta(f"{break_}{text}"), ""
                    case AnswerWasReasoning() if answered:
                        yield event
                        event, break_ = TextDelta(answered), BLANK_LINE
                yield event
        if replies[-1].finish_reason in ("error", "cancelled"):
            break
        most = None if most is None else max(most - replies[-1].answer_tokens, 0)
    yield joined_reply(route, replies)


def begun_by(route: Route, text: str) -> tuple[ReplyDone, ...]:
    """The replies to the parts of an answer of which the text alone is known; the last one with some of it was cut."""
    answers = text.split(BLANK_LINE, len(route.parts) - 1) if text and route.parts else []
    return tuple(
        _unanswered(part, "stop" if index < len(answers) - 1 else "cancelled", "".join(answers[index : index + 1]))
        for index, part in enumerate(route.parts if answers else ())
    )


def begun_answer(begun: Sequence[ReplyDone]) -> str:
    """What stands of an answer in parts before the place where it is gone on with: all up to its first cut part."""
    return _joined(begun[: _first_cut(begun) + 1])


def _unanswered(route: Route, finish_reason: FinishReason, answer: str = "") -> ReplyDone:
    """A part that was not come to, or of which no more than the text is known."""
    return ReplyDone(route.text, answer, route, finish_reason, 0, 0, 0, 0, Timings(0.0, 0.0, 0.0))


def _joined(parts: Sequence[ReplyDone]) -> str:
    return BLANK_LINE.join(part.answer for part in parts if part.answer)


def _first_cut(begun: Sequence[ReplyDone]) -> int:
    """The first part that is to be gone on with; -1 where nothing is begun."""
    return next((index for index, part in enumerate(begun) if not _is_whole(part)), len(begun) - 1)


def _is_whole(part: ReplyDone) -> bool:
    return part.finish_reason in ("stop", "loop")


def joined_reply(route: Route, parts: Sequence[ReplyDone]) -> ReplyDone:
    """One reply of those to the parts of a message, at least one; those that are missing at the end are unanswered.

    Tokens are sums, and so is the time, with that of the routing; of the context the most that one part needed counts.
    """
    left = (_unanswered(part, parts[-1].finish_reason) for part in route.parts[len(parts) :])
    parts = (*parts, *left)
    return ReplyDone(
        text=route.text,
        answer=_joined(parts),
        route=route,
        finish_reason=min((part.finish_reason for part in parts), key=_WORST.index),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        answer_tokens=sum(part.answer_tokens for part in parts),
        context_used=max(part.context_used for part in parts),
        context_size=max(part.context_size for part in parts),
        timings=Timings(
            route.total_ms,
            route.total_ms + parts[0].timings.first_token,
            route.total_ms + sum(part.timings.total for part in parts),
        ),
        error=next((part.error for part in parts if part.error), ""),
        reasoning=BLANK_LINE.join(part.reasoning for part in parts if part.reasoning),
        parts=parts,
        engine=parts[0].engine,
        cached_tokens=sum(part.cached_tokens for part in parts),
    )
