"""Conversations as values: what the history stores and the window shows.

A conversation is a tree of turns. A turn is one message of the user with its answer; turns with the same parent are
alternatives of each other, be it that the message was edited or the answer asked for again. The tip is the turn that
the shown path ends with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import ReplyDone
from dlp_local.core.values import BLANK_LINE, Message

TurnState = Literal["sent", "done", "failed"]
TITLE_LENGTH = 60

BROKEN_OFF = "This answer ended in the middle. Go on with it, or send the message again."
"""What is said of an answer whose program or engine ended before it."""


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
class SearchHit:
    """A turn in which a search found something; `spans` are (start, end) of the hits in `excerpt`."""

    conversation: int
    turn: int
    title: str
    excerpt: str
    spans: tuple[tuple[int, int], ...]


def path(turns: Sequence[StoredTurn], tip: int | None) -> tuple[StoredTurn, ...]:
    """The turns from the root to `tip`, in order."""
    by_id = {turn.id: turn for turn in turns}
    backwards: list[StoredTurn] = []
    while tip is not None and tip in by_id:
        backwards.append(by_id.pop(tip))
        tip = backwards[-1].parent
    return tuple(reversed(backwards))


def alternatives(turns: Sequence[StoredTurn], turn: StoredTurn) -> list[int]:
    """The ids of a turn and of those that stand in its place in other branches, in order."""
    return [other.id for other in turns if other.parent == turn.parent]


def newest_leaf(turns: Sequence[StoredTurn], turn: int) -> int:
    """Where the branch through `turn` ends, following the newest turns; `turns` are in the order of their making."""
    newest_child = {other.parent: other.id for other in turns}
    while (child := newest_child.pop(turn, None)) is not None:
        turn = child
    return turn


def messages(turns: tuple[StoredTurn, ...]) -> Iterator[Message]:
    """Earlier turns as the assistant is given them: those that were answered, in part at least, and not broken off.

    Roles take turns. A message to which the model gave no answer, reasoning alone say, goes with the next one; where it
    is the last, the messages end with it. One whose answer was cancelled before its first word was taken back.
    """
    unanswered: list[str] = []
    for turn in turns:
        is_taken_back = not turn.answer and turn.done is not None and turn.done.finish_reason == "cancelled"
        if turn.state != "done" or is_taken_back:
            continue
        unanswered.append(turn.text)
        if turn.answer:
            yield Message("user", BLANK_LINE.join(unanswered))
            yield Message("assistant", turn.answer)
            unanswered = []
    if unanswered:
        yield Message("user", BLANK_LINE.join(unanswered))


def title_of(text: str) -> str:
    """A title from the first message: its first line, cut between words."""
    line = " ".join(next((line for line in text.splitlines() if line.strip()), "").split())
    if len(line) <= TITLE_LENGTH:
        return line or "Empty"
    head = line[:TITLE_LENGTH]
    return f"{head.rpartition(' ')[0] or head} …"
