"""What the window shows, as values: one turn, and the state of the whole session.

The session's worker thread makes them and posts them; widgets render them. They are frozen, so that no lock is
needed between the two threads: each step of an answer is a new value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.message import Message

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import ReplyDone
from dlp_local.core.values import AdapterInfo, FinishReason, Route
from dlp_local.history.model import StoredTurn

TurnState = Literal["queued", "processing", "generating", "done", "failed"]
NOTHING_SET = ChatOptions()
Phase = Literal["loading", "failed", "ready", "processing", "generating", "updating"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the user and what came of it so far; `id` is its number in the history."""

    id: int
    text: str
    state: TurnState
    answer: str = ""
    route: Route | None = None
    trimmed: int = 0
    done: ReplyDone | None = None
    error: str = ""
    alternative: tuple[int, int] = (1, 1)
    """Which of how many alternatives."""

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; none while it has not."""
        return self.done.finish_reason if self.done else None


def stored(turn: StoredTurn, alternative: tuple[int, int]) -> Turn:
    """A turn as it was stored."""
    state: TurnState = "queued" if turn.state == "sent" else turn.state
    route = turn.done.route if turn.done else None
    return Turn(turn.id, turn.text, state, turn.answer, route, 0, turn.done, turn.error, alternative)


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the session; the pack's own facts are empty until it is loaded. Context is in tokens."""

    phase: Phase = "loading"
    name: str = ""
    greeting: str = ""
    examples: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    """Those that messages may go to."""

    pack_adapters: tuple[AdapterInfo, ...] = ()
    """All of them."""

    read_only_reason: str = ""
    """Why the pack's adapters cannot be changed; nothing where they can."""

    change: str = ""
    """What is being changed about the pack: `adding sql`."""

    context_used: int = 0
    context_size: int = 0
    options: ChatOptions = NOTHING_SET
    """What the open conversation sets for itself."""

    speed: float = 0.0
    """Tokens a second of the last answer."""

    error: str = ""
    exit_code: int = 0
    notice: str = ""
    """What the user must know: that the conversation is not saved, say."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """The conversation as the window shows it."""

    number: int | None
    title: str
    turns: tuple[Turn, ...]
    options: ChatOptions


class TurnChanged(Message):
    """A turn took a step. A newer value of the same turn replaces one that nobody has looked at yet.

    This is what keeps the window calm under a fast model: however many tokens arrive while the screen is busy,
    it then draws once.
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn

    def can_replace(self, message: Message) -> bool:
        """Tells textual's queue that the older of two values of one turn may be skipped."""
        return isinstance(message, TurnChanged) and message.turn.id == self.turn.id


class StatusChanged(Message):
    """The session's state changed."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self.status = status


class PackUpdated(Message):
    """What there is to say of a pack that was opened, or of a change of it; `problem` says why that was not made."""

    def __init__(self, done: str, problem: str = "") -> None:
        super().__init__()
        self.done, self.problem = done, problem


class PathChanged(Message):
    """Another branch of the conversation is to be shown, or, where it was `opened`, another conversation."""

    def __init__(self, shown: ConversationView, opened: bool = False) -> None:
        super().__init__()
        self.shown, self.opened = shown, opened
