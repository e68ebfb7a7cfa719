"""Conversations as values: what the history stores and the window shows.

A conversation is a tree of turns. A turn is one message of the user with its answer; turns with the same parent are
alternatives of each other, be it that the message was edited or the answer asked for again. The tip is the turn that
the shown path ends with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlp_local.core.errors import InputError
from dlp_local.core.values import FinishReason, Message, Mix, ReplyDone, Route, Scope, Timings
from dlp_local.core.settings import Sampling

TurnState = Literal["sent", "done", "failed"]
TITLE_LENGTH = 60


class ChatOptions(BaseModel):
    """What a conversation or a persona sets for itself; None leaves a value to the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = ""
    system: str | None = None
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    min_p: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = Field(None, ge=0.1, le=10)
    seed: int | None = Field(None, ge=0, le=0xFFFFFFFE)
    max_tokens: int | None = Field(None, ge=1)
    scope: Scope | None = None
    pinned: dict[str, float] | None = None
    """The mix of every turn, in place of the router's; {} is the bare backbone."""

    vetoed: tuple[str, ...] = ()
    """Adapters that the router may not choose."""

    def sampling(self, default: Sampling) -> Sampling:
        """The settings' sampling with what is set here on top."""
        own = self.model_dump(include=set(Sampling.model_fields), exclude_none=True)
        return default.model_copy(update=own)

    @classmethod
    def checked(cls, given: Mapping[str, Any], under: ChatOptions | None = None) -> ChatOptions:
        """Options out of what a user gave, on top of others; raises `InputError` that names every wrong one."""
        try:
            return cls.model_validate((under.model_dump() if under else {}) | dict(given))
        except ValidationError as error:
            problems = [f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
            raise InputError(f"options: {'; '.join(problems)}. Change what was given.") from None

    @property
    def mix(self) -> Mix | None:
        """The pinned mix."""
        return None if self.pinned is None else Mix.of(self.pinned)


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """One turn; `done` is none while it runs, and where it ended before the engine said how."""

    id: int
    parent: int | None
    text: str
    answer: str = ""
    state: TurnState = "sent"
    error: str = ""
    done: ReplyDone | None = None
    pack: str = ""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation in a list; times are UTC, ISO 8601."""

    id: int
    title: str
    pinned: bool
    turns: int
    created_at: str
    changed_at: str
    tip: int | None
    options: ChatOptions


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole conversation."""

    info: ConversationInfo
    turns: tuple[StoredTurn, ...]

    def path(self) -> tuple[StoredTurn, ...]:
        """The turns from the first one to the tip."""
        return path(self.turns, self.info.tip)


@dataclass(frozen=True, slots=True)
class Found:
    """A turn in which a search found something; `spans` are (start, end) of the hits in `excerpt`."""

    conversation: int
    turn: int
    title: str
    excerpt: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """A message that went to the wrong adapter, and the right one (or `base`); `id` is its number once it is stored."""

    text: str
    wrong: Mix
    right: str
    created_at: str = ""
    id: int = 0


def path(turns: tuple[StoredTurn, ...] | list[StoredTurn], tip: int | None) -> tuple[StoredTurn, ...]:
    """The turns from the root to `tip`, in order."""
    by_id = {turn.id: turn for turn in turns}
    found: list[StoredTurn] = []
    while tip is not None and tip in by_id:
        found.append(by_id.pop(tip))
        tip = found[-1].parent
    return tuple(reversed(found))


def alternatives(turns: tuple[StoredTurn, ...] | list[StoredTurn], turn: StoredTurn) -> list[int]:
    """The ids of a turn and of those that stand in its place in other branches, in order."""
    return [other.id for other in turns if other.parent == turn.parent]


def newest_leaf(turns: tuple[StoredTurn, ...] | list[StoredTurn], turn: int) -> int:
    """Where the branch through `turn` ends, following the newest turns."""
    children: dict[int | None, int] = {}
    for other in turns:
        children[other.parent] = max(children.get(other.parent, 0), other.id)
    while turn in children:
        turn = children[turn]
    return turn


def messages(turns: tuple[StoredTurn, ...]) -> Iterator[Message]:
    """What the assistant is told of earlier turns: those that were answered, in part at least, and not broken off."""
    for turn in turns:
        if turn.answer and turn.state == "done":
            yield Message("user", turn.text)
            yield Message("assistant", turn.answer)


def title_of(text: str) -> str:
    """A title from the first message: its first line, cut between words."""
    line = " ".join(next((line for line in text.splitlines() if line.strip()), "").split())
    if len(line) <= TITLE_LENGTH:
        return line or "Empty"
    head = line[:TITLE_LENGTH]
    return f"{head.rpartition(' ')[0] or head} …"


def receipt_json(done: ReplyDone) -> dict[str, Any]:
    """Everything of a reply but its texts, as JSON; `receipt_from_json` reads it back unchanged."""
    return {
        "mix": dict(done.route.mix.weights),
        "probabilities": dict(done.route.probabilities),
        "finish_reason": done.finish_reason,
        "tokens": {"prompt": done.prompt_tokens, "answer": done.answer_tokens},
        "context": {"used": done.context_used, "size": done.context_size},
        "timings_ms": {
            "embed": done.route.embed_ms,
            "route": done.route.route_ms,
            "routed": done.timings.route,
            "first_token": done.timings.first_token,
            "total": done.timings.total,
        },
        "error": done.error,
    }


def receipt_from_json(text: str, answer: str, receipt: Mapping[str, Any]) -> ReplyDone:
    """A reply from its texts and its receipt; raises `KeyError`, `TypeError` or `ValueError` for another shape."""
    times, tokens, context = receipt["timings_ms"], receipt["tokens"], receipt["context"]
    mix = Mix.of({str(name): float(weight) for name, weight in receipt["mix"].items()})
    probabilities = {str(name): float(p) for name, p in receipt["probabilities"].items()}
    reasons: dict[str, FinishReason] = {"stop": "stop", "length": "length", "cancelled": "cancelled", "error": "error"}
    return ReplyDone(
        text=text,
        answer=answer,
        route=Route(text, probabilities, mix, float(times["embed"]), float(times["route"])),
        finish_reason=reasons[receipt["finish_reason"]],
        prompt_tokens=int(tokens["prompt"]),
        answer_tokens=int(tokens["answer"]),
        context_used=int(context["used"]),
        context_size=int(context["size"]),
        timings=Timings(float(times["routed"]), float(times["first_token"]), float(times["total"])),
        error=str(receipt["error"]),
    )
