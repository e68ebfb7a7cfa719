"""A conversation up to the message that is to be answered, and what its roles may be."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_local.core.errors import InputError
from dlp_local.core.values import BLANK_LINE, Message


def followed_by(conversation: Sequence[Message], text: str, tool_messages: Sequence[Message] = ()) -> list[Message]:
    """A conversation, a user's message after it, and what the assistant called for it with the results.

    A message before it that was not answered goes with it: roles take turns. Raises `InputError` for tool messages that
    do not end with a result.
    """
    if tool_messages and (tool_messages[-1].role != "tool" or any(m.role == "user" for m in tool_messages)):
        raise InputError("tool messages: they are calls and their results, and end with a result. Send that, too.")
    if not conversation or conversation[-1].role != "user":
        return [*conversation, Message("user", text), *tool_messages]
    *before, unanswered = conversation
    return [*before, Message("user", f"{unanswered.content}{BLANK_LINE}{text}"), *tool_messages]
