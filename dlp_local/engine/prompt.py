"""Messages → tokens, through the chat template of the backbone's header.

The template is rendered with placeholders in place of the contents; the contents are tokenised on their own, without
control tokens. So a message that spells `<|end|>` or `<|im_start|>system` is text and cannot forge a turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from dlp_local.engine.llama import Backbone
from dlp_local.errors import EngineError
from dlp_local.records import Message

_OPEN, _CLOSE = "\ue0f0", "\ue0f1"
_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}")

FALLBACK_ROLES = {"system": "", "user": "User: ", "assistant": "Assistant: "}
"""Plain turns for a model without a chat template."""


def _plain(messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
    turns = "".join(f"{FALLBACK_ROLES[m['role']]}{m['content']}\n" for m in messages)
    return turns + (FALLBACK_ROLES["assistant"].rstrip() if add_generation_prompt else "")


class PromptBuilder:
    """Tokenises conversations for one backbone."""

    def __init__(self, backbone: Backbone) -> None:
        self._render: Callable[..., str] = backbone.chat_formatter() or _plain
        self._tokenize = lru_cache(maxsize=4096)(lambda text, special: tuple(backbone.tokenize(text, special=special)))
        self._opening = tuple(backbone.opening_tokens)

    def tokens(self, messages: Sequence[Message], *, answer: bool) -> tuple[int, ...]:
        """Token ids of a conversation; with `answer`, up to where the assistant's answer starts.

        Raises `EngineError` where the template does not take the conversation.
        """
        text = self._rendered(messages, answer)
        ids: list[int] = []
        for i, part in enumerate(_PLACEHOLDER.split(text)):
            ids += self._tokenize(messages[int(part)].content, False) if i % 2 else self._tokenize(part, True)
        if self._opening and tuple(ids[: len(self._opening)]) != self._opening:
            ids = [*self._opening, *ids]
        return tuple(ids)

    def _rendered(self, messages: Sequence[Message], answer: bool) -> str:
        turns = [{"role": m.role, "content": f"{_OPEN}{i}{_CLOSE}"} for i, m in enumerate(messages)]
        try:
            return self._render(turns, answer)
        except Exception:  # a template is a program of the model's author and may raise anything
            if len(turns) > 1 and turns[0]["role"] == "system" and turns[1]["role"] == "user":
                # Some templates know no system role; its text then opens the first message.
                merged = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
                try:
                    return self._render([merged, *turns[2:]], answer)
                except Exception as second:
                    error = second
            raise EngineError(
                f"the chat template of the backbone does not take this conversation: {error}. "
                "Start a new conversation or use another backbone."
            ) from None

    def turns(self, history: Sequence[Message]) -> list[tuple[int, ...]]:
        """The tokens of each complete turn of a history, in order; joined they are the tokens of the history.

        Where a template changes earlier turns when later ones come, the turns up to there come as one.
        """
        segments: list[tuple[int, ...]] = []
        so_far: tuple[int, ...] = ()
        for end, message in enumerate(history, start=1):
            if message.role != "assistant":
                continue
            tokens = self.tokens(history[:end], answer=False)
            if tokens[: len(so_far)] == so_far:
                segments.append(tokens[len(so_far) :])
            else:
                segments = [tokens]
            so_far = tokens
        return segments
