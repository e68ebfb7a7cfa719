"""The shapes in which a conversation is given to a chat template, one after the other until one comes out whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from dlp_local.core.values import BLANK_LINE, Message

Shape = Callable[[Sequence[Message]], list[Message]]


def as_they_are(messages: Sequence[Message]) -> list[Message]:
    """Every message for itself."""
    return list(messages)


def neighbors_joined(messages: Sequence[Message]) -> list[Message]:
    """Messages of one role that follow each other as one: some templates want roles to take turns."""
    groups = groupby(messages, key=lambda message: message.role)
    return [
        Message(role, BLANK_LINE.join(message.content for message in group if message.content.strip()))
        for role, group in groups
    ]


def system_in_first_message(messages: Sequence[Message]) -> list[Message]:
    """Instructions before the first user's message, in it: some templates know no system role."""
    system = [message.content for message in messages if message.role == "system"]
    others = neighbors_joined([message for message in messages if message.role != "system"])
    first = next((i for i, message in enumerate(others) if message.role == "user"), None)
    if first is None:
        return list(messages)
    contents = [content for content in (*system, others[first].content) if content.strip()]
    return [*others[:first], Message("user", BLANK_LINE.join(contents)), *others[first + 1 :]]


def has_calls(messages: Sequence[Message]) -> bool:
    """Whether a conversation has calls of tools in it, or their results."""
    return any(message.role == "tool" or message.tool_calls for message in messages)


SHAPES: tuple[Shape, ...] = (as_they_are, neighbors_joined, system_in_first_message)
