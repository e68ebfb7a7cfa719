"""The route of the turn before a message, from the conversation's text alone."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_local.assistant import Assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Message, Route
from dlp_local.routing.follow_up import is_clear

MOST_EARLIER = 4
"""Messages that are gone back at most: follow-ups of follow-ups."""


def history_route(assistant: Assistant, history: Sequence[Message], options: ChatOptions) -> Route | None:
    """The route of the last user's message of a conversation; None where there is none.

    It is routed again, a few milliseconds, so that the same conversation always gives the same route, whatever was
    answered to it and by whom. The messages before it count as far as it is unsure without them.
    """
    texts = [message.content for message in history if message.role == "user" and message.content.strip()]
    return _route(assistant, texts[-MOST_EARLIER:], options)


def _route(assistant: Assistant, texts: Sequence[str], options: ChatOptions) -> Route | None:
    if not texts:
        return None
    *earlier, text = texts
    alone = assistant.route(text, without=options.vetoed, split=options.split)
    if not earlier or is_clear(alone.probabilities):
        return alone
    previous = _route(assistant, earlier, options)
    return assistant.route(text, previous_route=previous, without=options.vetoed, split=options.split)
