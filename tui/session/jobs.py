"""What the assistant's thread is to do, and the queue in which it waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from dlp_local.core.events import ReplyDone
from dlp_local.core.values import Mix
from dlp_local.history.open_conversation import OpenConversation
from tui.session.assistant_backend import AssistantBackend


@dataclass(frozen=True, slots=True)
class AnswerJob:
    """A stored message to answer, perhaps under a mix given for it alone, perhaps begun already.

    `begun_parts` are the replies to the parts of such an answer. `another`: its answer is to be none of those that
    there are.
    """

    conversation: OpenConversation
    turn: int
    mix: Mix | None = None
    answer_prefix: str = ""
    begun_parts: tuple[ReplyDone, ...] | None = None
    another: bool = False


@dataclass(frozen=True, slots=True)
class PackJob:
    """A change of the pack's adapters: what to say while it is made and when it is done.

    `change` gives what else is to be said then, or nothing.
    """

    activity: str
    done: str
    change: Callable[[AssistantBackend], str | None]


@dataclass(frozen=True, slots=True)
class CorrectionJob:
    """A message belongs to another adapter; it is stored already, and the running router is to know of it.

    None: nothing is said of it any more.
    """

    text: str
    right: str | None


@dataclass(frozen=True, slots=True)
class SwitchJob:
    """Another pack is to answer, by its name or folder."""

    pack: str


@dataclass(frozen=True, slots=True)
class WarmJob:
    """A conversation's history is to be computed before its next message comes; anything that is asked goes first."""

    conversation: OpenConversation


Job = AnswerJob | PackJob | CorrectionJob | SwitchJob | WarmJob


class JobQueue:
    """First in, first out, between the threads that ask and the one that does. No method waits but `take`."""

    def __init__(self, lock: threading.RLock) -> None:
        """The lock guards the queue; `take` lets it go while it waits."""
        self._changed = threading.Condition(lock)
        self._waiting: deque[Job] = deque()
        self._closed = False

    def put(self, job: Job) -> None:
        """Adds a job; one that comes after `close` is dropped."""
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._changed.notify()

    def take(self, timeout: float | None = None) -> Job | None:
        """Waits for the next job; None once the queue is closed, and where none came for `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            return None if self._closed or not self._waiting else self._waiting.popleft()

    def remove_answers(self, turn: int | None = None) -> list[AnswerJob]:
        """Takes the messages that wait out, or that of one turn."""
        with self._changed:
            removed = [
                job for job in self._waiting if isinstance(job, AnswerJob) and (turn is None or job.turn == turn)
            ]
            self._waiting = deque(job for job in self._waiting if job not in removed)
            return removed

    @property
    def changes_pack(self) -> bool:
        """Whether a change of the pack waits."""
        with self._changed:
            return any(isinstance(job, PackJob | SwitchJob) for job in self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether no more jobs come."""
        return self._closed

    def close(self) -> None:
        """Ends the queue; what still waits is dropped."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
