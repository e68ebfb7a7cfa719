"""Which turns of a conversation go into the context, beside the answer."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_local.core.answer_format import Tool
from dlp_local.core.errors import ContextLengthError
from dlp_local.core.values import Message
from dlp_local.engine.calls.plain import tools_text
from dlp_local.engine.prompt import Prompt, PromptBuilder

ANSWER_SHARE = 4
"""A prompt leaves at least a quarter of the context to the answer, less where the answer may not be that long."""

KEPT_SHARE = 2
"""A conversation that outgrows its room loses its oldest turns down to half of it."""

SURELY = 2
"""A message of so many times the room is refused unseen: what it takes within a prompt differs less from its length."""


def fit(
    prompts: PromptBuilder,
    messages: Sequence[Message],
    context_size: int,
    max_tokens: int | None,
    tools: Sequence[Tool] = (),
) -> tuple[Prompt, int]:
    """The prompt of as many turns as fit beside the answer, and how many of the oldest were left out.

    Turns are left out as they would have been at each message of the conversation, many at once and then none for a
    while: so the turns after that find their history on the spine. What goes depends on the messages alone.

    Raises `ContextLengthError` for a last message that does not fit by itself.
    """
    room = context_size - min(max_tokens or context_size, context_size // ANSWER_SHARE)
    split = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
    body = messages[split:]
    starts = [i for i, message in enumerate(body) if message.role == "user"]
    ends = [*starts[1:], len(body)]

    def tokens_of(messages: Sequence[Message]) -> int:
        return sum(prompts.length(message, SURELY * room) for message in messages)

    lengths = [tokens_of(body[a:b]) for a, b in zip(starts, ends, strict=True)]
    described = [Message("system", tools_text(tools))] if tools else []
    dropped, used = 0, tokens_of([*described, *messages[:split]])
    last_message = sum(lengths[-1:])
    longest = "message" if last_message >= used else "tools and the system prompt" if tools else "system prompt"
    if (needed := used + last_message) > SURELY * room:
        raise _too_long(longest, f"{needed} tokens or more", room, context_size)
    for last, length in enumerate(lengths):
        used += length
        if used > room:
            while dropped < last and used > room // KEPT_SHARE:
                used -= lengths[dropped]
                dropped += 1
    for first in range(dropped, len(starts)):
        prompt = prompts.prompt([*messages[:split], *body[starts[first] :]] if first else messages, tools)
        size = sum(map(len, prompt.turns))
        if size <= room:
            return prompt, first
    raise _too_long(longest, f"{size} tokens", room, context_size)


def _too_long(what: str, tokens: str, room: int, context_size: int) -> ContextLengthError:
    """The refusal, with the longest part of what has to be there."""
    is_one = " and " not in what
    return ContextLengthError(
        f"the {what} {'is' if is_one else 'are'} too long: {tokens} in all, and {room} fit the context of "
        f"{context_size}. Shorten {'it' if is_one else 'them'}, or use a backbone with a larger context."
    )
