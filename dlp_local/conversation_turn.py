"""A turn that is kept: its message stored before anything is done about it, its answer as it grows, and its end.

The window, `chat --plain` and `ask` keep their turns here and nowhere else. A caller reads the events of `answer_turn`;
how the turn ended then stands in the conversation, whether the events came to their end, raised or were given up.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from time import monotonic
from typing import Protocol

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.events import AnswerWasReasoning, Event, ReplyDone, TextDelta
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.text import check_message
from dlp_local.core.values import Message, Mix, Route
from dlp_local.history.model import BROKEN_OFF, StoredTurn
from dlp_local.history.open_conversation import OpenConversation

STORE_EVERY = 0.25
"""Seconds between two storings of a growing answer."""

GIVEN_UP = "This answer was given up before its end."


class Replying(Protocol):
    """What a turn needs of the assistant."""

    def reply(
        self,
        text: str,
        history: Sequence[Message] = (),
        *,
        mix: Mix | None = None,
        options: ChatOptions = ...,
        previous_route: Route | None = None,
        answer_prefix: str = "",
        begun_parts: Sequence[ReplyDone] | None = None,
        earlier_answers: Sequence[EarlierAnswer] = (),
    ) -> Job[Event]:
        """Answers a message after `history`; the last event is `ReplyDone`."""


def store_message(conversation: OpenConversation, text: str, *, parent: int | None, pack: str = "") -> StoredTurn:
    """Stores a message after the turn `parent`, before anything is done about it; it becomes the conversation's tip.

    Raises `InputError` for a message that cannot be answered; nothing is stored then.
    """
    check_message(text)
    return conversation.add(text, parent, pack)


def answer_turn(
    assistant: Replying,
    conversation: OpenConversation,
    turn: int,
    *,
    mix: Mix | None = None,
    answer_prefix: str = "",
    begun_parts: Sequence[ReplyDone] | None = None,
    another: bool = False,
) -> Job[Event]:
    """Answers a stored message under the conversation's options; the events are those of the assistant's reply.

    The answer is stored as it grows, a few times a second, and so is its end: done, failed with the reason, or given
    up. `mix` holds for this turn alone. `answer_prefix` is the beginning of an answer, to go on with, and `begun_parts`
    are the replies to its parts. `another`: the answer is to be none of those that the message has already.
    """

    def run(cancellation: Cancellation) -> Generator[Event, None, None]:
        message, answer, done = conversation[turn], answer_prefix, None
        error, stored_at = BROKEN_OFF, -STORE_EVERY
        try:
            reply = assistant.reply(
                message.text,
                conversation.history_messages(message.parent),
                mix=mix,
                options=conversation.options,
                previous_route=conversation.route_before(message),
                answer_prefix=answer_prefix,
                begun_parts=begun_parts,
                earlier_answers=conversation.earlier_answers(message) if another else (),
            )
            with closing(reply), cancellation.forwarded(reply.cancel):
                for event in reply:
                    if isinstance(event, TextDelta):
                        answer += event.text
                        if monotonic() - stored_at >= STORE_EVERY:
                            conversation.grow(turn, answer)
                            stored_at = monotonic()
                    elif isinstance(event, AnswerWasReasoning):
                        answer = ""
                        conversation.grow(turn, answer)
                    elif isinstance(event, ReplyDone):
                        # Stored before it is told, so that whoever hears of the end finds it in the history.
                        answer, done, error = event.answer, event, _error_of(event)
                        conversation.finish(turn, answer, done, error)
                    yield event
        except GeneratorExit:
            error = GIVEN_UP
            raise
        except Exception as problem:
            error = error_text(problem)
            raise
        finally:
            if done is None:
                conversation.finish(turn, answer, None, error)

    return Job(run)


def fail_turn(conversation: OpenConversation, turn: int, reason: str) -> None:
    """Ends a stored message that nobody will answer."""
    conversation.finish(turn, "", None, reason)


def error_text(error: Exception) -> str:
    """What is told of an error: the project's own say what to do themselves, for others this adds it."""
    if isinstance(error, DlpLocalError):
        return str(error)
    return f"Something unexpected happened ({type(error).__name__}: {error}). Send the message again, or restart."


def _error_of(done: ReplyDone) -> str:
    if done.finish_reason != "error":
        return ""
    return f"{done.error} Send the message again." if done.error else BROKEN_OFF
