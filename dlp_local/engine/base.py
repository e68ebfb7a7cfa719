"""What an engine is: a backbone that answers conversations, each answer under a mix of adapters of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat, FormatFeature
from dlp_local.core.errors import InputError
from dlp_local.core.events import (
    AnswerWasReasoning,
    Generated,
    HistoryTrimmed,
    PromptProgress,
    ReasoningDelta,
    TextDelta,
    TokenScores,
    ToolCalled,
)
from dlp_local.core.job import Job
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Message, Mix, Scope

EngineEvent = HistoryTrimmed | ReasoningDelta | TextDelta | AnswerWasReasoning | TokenScores | ToolCalled | Generated
"""What comes of a reply: perhaps `HistoryTrimmed`, then reasoning, the answer and calls, and `Generated` at the end."""

Reply = Job[EngineEvent]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do.

    `scopes`: what of a prompt an adapter may be on for. `concurrent_replies`: so many it computes at a time, and others
    wait for their turn. `format_features`: what it can do about the form of an answer. `remote`: the program that
    computes, and where; nothing where that is this machine's own.
    """

    scopes: frozenset[Scope]
    concurrent_replies: int
    format_features: frozenset[FormatFeature] = frozenset()
    remote: str = ""

    def check(self, answer_format: AnswerFormat) -> None:
        """Raises `InputError` for a form of answers that the engine cannot give."""
        if lacking := [need for need in answer_format.needs if need not in self.format_features]:
            raise InputError(
                f"answer format: this engine cannot do {', '.join(lacking)}. Leave that out, or use the local engine."
            )


class Together(Protocol):
    """Threads whose requests are begun together, as `engine.gathering.Gathering` does it."""

    def member(self, number: int) -> AbstractContextManager[None]:
        """Within the block this thread is a member, which none is twice; after it nobody waits for that one."""


class Engine(Protocol):
    """A backbone and its adapters, ready or being loaded. Every method may be called from any thread.

    Each may raise `PackError` for files that cannot be used and `EngineError` where the engine does not run.
    """

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together; waits until the backbone is loaded."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    def generate(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: Sampling,
        scope: Scope | None = None,
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Reply:
        """Answers a conversation that ends with a user's message, or with the results of the calls made for it.

        Where it ends with the assistant's message, that is the beginning of an answer, and what comes goes on with it.
        `scope` takes the place of the adapters' own. A reply waits for its turn where others are being computed. Its
        last event is `Generated`.

        The reply raises `InputError` for an unknown adapter, for a message that does not fit the context and for a form
        of the answer that cannot be had.
        """

    def warm(self, history: Sequence[Message], max_tokens: int | None) -> Job[PromptProgress]:
        """Prepares for the next message after a finished conversation, whose answer may be `max_tokens` long.

        With an empty conversation, or system prompts alone, it prepares for the first one. What a cancelled job has
        computed is not computed again.
        """

    def together(self, members: int) -> AbstractContextManager[Together]:
        """Within the block the engine waits until each of so many members asks for something, or is gone.

        It begins without anything that it kept, so the same requests give the same answers, to the letter: where it is
        this machine's own, with `fixed_threads`, and nothing else is asked meanwhile. All members have to come.
        """

    def add_adapter(self, adapter: AdapterFile) -> None:
        """Loads an adapter, in place of another one of its name; raises `PackError` where it does not fit."""

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter; raises `InputError` for an unknown one."""

    def close(self) -> None:
        """Ends the engine and everything that runs on it."""
