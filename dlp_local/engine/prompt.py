"""Messages → tokens, through the chat template of the backbone's header.

The template is rendered once, with placeholders in place of the contents: so it is known where each turn ends, and a
message that spells `<|end|>` or `<|im_start|>system` is tokenized on its own, as text, and cannot forge a turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from dlp_local.core.errors import EngineError
from dlp_local.core.values import Message
from dlp_local.engine.local.llama import Backbone

_OPEN, _CLOSE = "\ue0f0", "\ue0f1"
_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}")

FALLBACK_ROLES = {"system": "", "user": "User: ", "assistant": "Assistant: "}
"""Plain turns for a model without a chat template."""


FRAME_TOKENS = 4
"""What a chat template adds to a message, about."""

CACHED_LENGTH = 20_000
"""Longer texts are tokenized anew each time; so the cache stays small."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A stretch of a prompt; in a `plain` one the names of control tokens are ordinary text."""

    text: str
    plain: bool = False


def _plain(messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
    turns = "".join(f"{FALLBACK_ROLES[m['role']]}{m['content']}\n" for m in messages)
    return turns + (FALLBACK_ROLES["assistant"].rstrip() if add_generation_prompt else "")


class PromptBuilder:
    """Tokenizes conversations for one backbone."""

    def __init__(self, backbone: Backbone) -> None:
        self._render: Callable[..., str] = backbone.chat_formatter() or _plain
        self._backbone = backbone
        self._short = lru_cache(maxsize=1024)(self._tokenize_now)
        self._opening = tuple(backbone.opening_tokens)
        self._turn_end = self._after_an_answer()

    def turns(self, messages: Sequence[Message]) -> list[tuple[int, ...]]:
        """The tokens of a conversation that ends with a user's message, up to where the answer starts.

        One entry a complete turn (the first holds the system prompt too), and last the turn to be answered. A
        template that ends its answers differently from place to place gives fewer, longer entries. Raises
        `EngineError` where the template does not take the conversation.
        """
        parts = _PLACEHOLDER.split(self._rendered(messages, answer=True))
        turns: list[list[_Run]] = [[]]
        for i, part in enumerate(parts):
            if i % 2:
                turns[-1].append(self._content(messages[int(part)].content))
                continue
            end = self._turn_end
            after_answer = i > 0 and messages[int(parts[i - 1])].role == "assistant"
            if after_answer and end is not None and part.startswith(end):
                turns[-1].append(_Run(end))
                turns.append([])
                part = part[len(end) :]
            turns[-1].append(_Run(part))
        tokens = [self._joined(runs) for runs in turns]
        if self._opening and tokens[0][: len(self._opening)] != self._opening:
            tokens[0] = self._opening + tokens[0]
        return tokens

    def length(self, message: Message) -> int:
        """About how many tokens a message takes in a conversation: its content, and a few for its frame."""
        return len(self._tokenize(message.content, False)) + FRAME_TOKENS

    def _content(self, text: str) -> _Run:
        """A message's text; read apart from the template where it spells a control token."""
        return _Run(text, plain=self._tokenize(text, True) != self._tokenize(text, False))

    def _joined(self, runs: list[_Run]) -> tuple[int, ...]:
        """Tokens of neighboring runs; those that need not be read apart are read together, as the model knows them."""
        ids: list[int] = []
        for plain, group in groupby(runs, key=lambda run: run.plain):
            ids += self._tokenize("".join(run.text for run in group), not plain)
        return tuple(ids)

    def _tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        return self._short(text, special) if len(text) <= CACHED_LENGTH else self._tokenize_now(text, special)

    def _tokenize_now(self, text: str, special: bool) -> tuple[int, ...]:
        return tuple(self._backbone.tokenize(text, special=special))

    def _after_an_answer(self) -> str | None:
        """What the template writes after a finished answer; None where it does not take a plain turn."""
        turn = (Message("user", ""), Message("assistant", ""))
        try:
            return _PLACEHOLDER.split(self._rendered(turn, answer=False))[-1]
        except EngineError:
            return None

    def _rendered(self, messages: Sequence[Message], answer: bool) -> str:
        turns = [{"role": m.role, "content": f"{_OPEN}{i}{_CLOSE}"} for i, m in enumerate(messages)]
        attempts = [turns]
        if len(turns) > 1 and turns[0]["role"] == "system" and turns[1]["role"] == "user":
            # Some templates know no system role; its text then opens the first message.
            merged = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
            attempts.append([merged, *turns[2:]])
        reason = ""
        for attempt in attempts:
            try:
                return self._render(attempt, answer)
            except Exception as error:  # a template is a program of the model's author and may raise anything
                reason = str(error)
        raise EngineError(
            f"the chat template of the backbone does not take this conversation: {reason}. "
            "Start a new conversation or use another backbone."
        )
