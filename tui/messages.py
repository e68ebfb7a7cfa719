"""What the session posts to the window: each message carries a frozen value to be drawn."""

from __future__ import annotations

from textual.message import Message

from tui.state import ConversationView, Status, Turn


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
    """A pack was opened or changed: what was `done` is to be said, or the `problem` with it."""

    def __init__(self, done: str, problem: str = "") -> None:
        super().__init__()
        self.done, self.problem = done, problem


class TrainingEnded(Message):
    """A training in the background has ended: a `note` for the transcript, or the `problem` with it."""

    def __init__(self, note: str, problem: str = "") -> None:
        super().__init__()
        self.note, self.problem = note, problem


class PathChanged(Message):
    """Another branch of the conversation is to be shown, or, where it was `opened`, another conversation."""

    def __init__(self, view: ConversationView, opened: bool = False) -> None:
        super().__init__()
        self.view, self.opened = view, opened
