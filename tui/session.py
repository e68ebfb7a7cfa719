"""The truth of the window: the conversation, the queue of messages, and the one thread that asks the assistant.

No widget holds any of this; the window sends (`send`, `stop`, `new`) and draws the values that come back through
`post`. All calls to the assistant come from the worker thread, one after the other, but for `cancel`, which is
called under the lock that also guards each change of what the worker is doing: so it can never hit the wrong reply.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from textual.message import Message as Posted

from dlp_local.errors import DlpLocalError, ExitCode
from dlp_local.records import Event, HistoryTrimmed, Message, ReplyDone, Route, RouteChosen, TextDelta
from tui.assistant_like import AssistantLike
from tui.turn import Status, StatusChanged, Turn, TurnChanged

_log = logging.getLogger(__name__)

LOST = "The engine stopped in the middle of this answer."
AGAIN = "Send the message again."
NOT_LOADED = "Not answered: the pack could not be loaded."


@dataclass(eq=False)
class Conversation:
    """What the assistant is told of earlier turns; a turn belongs to the conversation it was sent in."""

    history: list[Message] = field(default_factory=list)
    previous: Route | None = None
    trimmed: int = 0


class Session:
    """Owns the conversation and the worker thread. Public methods are for the window's thread and never block."""

    def __init__(self, open_assistant: Callable[[], AssistantLike]) -> None:
        self.status = Status()
        self.last_sent = ""
        self._open = open_assistant
        self._post: Callable[[Posted], object] = lambda _: None
        self._ids = count(1)
        self._wake = threading.Condition()
        self._waiting: deque[tuple[Turn, Conversation]] = deque()
        self._conversation = Conversation()
        self._assistant: AssistantLike | None = None
        self._answering = self._settling = self._stopping = self._closing = False
        self._thread = threading.Thread(target=self._work, name="assistant", daemon=True)

    def start(self, post: Callable[[Posted], object]) -> None:
        """Starts to load the assistant; values go to `post`, which must be safe to call from any thread."""
        self._post = post
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether an answer is being read for or written."""
        return self._answering

    @property
    def history(self) -> tuple[Message, ...]:
        """The finished turns of the conversation, as the assistant is told of them."""
        return tuple(self._conversation.history)

    def send(self, text: str) -> Turn:
        """Queues a message; it runs at once where nothing is before it."""
        with self._wake:
            idle = self._assistant is not None and not self._answering and not self._waiting
            turn = Turn(next(self._ids), text, "reading" if idle else "queued")
            self._waiting.append((turn, self._conversation))
            self.last_sent = text
            self._interrupt(settle=True)
            self._wake.notify()
        return turn

    def stop(self) -> None:
        """Ends the running answer; the part that was written stays."""
        with self._wake:
            self._stopping = self._answering
            self._interrupt()

    def new(self) -> None:
        """Begins a new conversation; what runs or waits in the old one ends."""
        self.stop()
        with self._wake:
            self._waiting.clear()
            self._conversation = Conversation()
            self._set_status(context_used=0)

    def close(self, timeout: float = 3.0) -> bool:
        """Ends the worker; False where it goes on: in an answer for `timeout` seconds, or with a pack still loading.

        A load is not waited for: nothing can end it early.
        """
        with self._wake:
            self._closing = True
            self._stopping = self._answering
            self._waiting.clear()
            self._interrupt(settle=True)
            self._wake.notify()
        if self._assistant and self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _interrupt(self, *, settle: bool = False) -> None:
        if self._assistant and (self._stopping or (settle and self._settling)):
            self._assistant.cancel()

    # ---- the worker thread ----

    def _work(self) -> None:
        try:
            assistant = self._open()
        except Exception as error:
            _log.debug("loading failed", exc_info=True)
            self._fail(error)
            return
        with self._wake:
            self._assistant = assistant
            self._set_status(
                phase="ready",
                name=assistant.name,
                greeting=assistant.greeting,
                examples=tuple(assistant.examples),
                adapters=len(assistant.adapters),
                context_size=assistant.context_size,
            )
        try:
            while job := self._next():
                self._answer(assistant, *job)
                self._settle(assistant, job[1])
        finally:
            with suppress(Exception):
                assistant.close()

    def _fail(self, error: Exception) -> None:
        with self._wake:
            code = error.exit_code if isinstance(error, DlpLocalError) else ExitCode.FAILURE
            self._set_status(phase="failed", error=describe(error), exit_code=int(code))
            for turn, _ in self._waiting:
                self._emit(TurnChanged(replace(turn, state="failed", error=NOT_LOADED)))
            self._waiting.clear()

    def _next(self) -> tuple[Turn, Conversation] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            self._answering = True
            turn, conversation = self._waiting.popleft()
            self._set_status(phase="reading")
        return replace(turn, state="reading"), conversation

    def _answer(self, assistant: AssistantLike, turn: Turn, conversation: Conversation) -> None:
        self._emit(TurnChanged(turn))
        try:
            for event in assistant.reply(turn.text, tuple(conversation.history), previous=conversation.previous):
                with self._wake:
                    # Asked for again at each event: a stop that came before the reply had begun must not be lost.
                    self._interrupt()
                turn = self._advance(turn, conversation, event)
                if turn.done is None:
                    self._emit(TurnChanged(turn))
            if turn.done is None or turn.done.finish_reason == "error":
                why = turn.done.error if turn.done else ""
                turn = replace(turn, state="failed", error=f"{why or LOST} {AGAIN}")
        except Exception as error:
            _log.debug("a reply failed", exc_info=True)
            turn = replace(turn, state="failed", error=describe(error))
        self._finish(turn, conversation)

    def _advance(self, turn: Turn, conversation: Conversation, event: Event) -> Turn:
        match event:
            case RouteChosen(route):
                return replace(turn, route=route)
            case HistoryTrimmed(turns):
                news = turns > conversation.trimmed
                conversation.trimmed = max(turns, conversation.trimmed)
                return replace(turn, trimmed=turns) if news else turn
            case TextDelta(text):
                if turn.state != "writing":
                    self._set_status(phase="writing")
                return replace(turn, state="writing", answer=turn.answer + text)
            case ReplyDone():
                return replace(turn, state="done", answer=event.answer, route=event.route, done=event)

    def _finish(self, turn: Turn, conversation: Conversation) -> None:
        with self._wake:
            changes: dict[str, Any] = {"phase": "ready"}
            if turn.state == "done" and turn.done and turn.answer:
                conversation.history += [Message("user", turn.text), Message("assistant", turn.answer)]
                conversation.previous = turn.done.route
                if conversation is self._conversation:
                    changes["context_used"] = turn.done.context_used
            self._answering = self._stopping = False
            self._emit(TurnChanged(turn))
            self._set_status(**changes)

    def _settle(self, assistant: AssistantLike, conversation: Conversation) -> None:
        with self._wake:
            self._settling = not self._waiting and not self._closing and conversation is self._conversation
        if self._settling:
            try:
                assistant.settle(tuple(conversation.history))
            except Exception:
                # Settling only saves time: what is really wrong shows itself, with words, at the next reply.
                _log.debug("settling failed", exc_info=True)
        with self._wake:
            self._settling = False

    def _set_status(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._emit(StatusChanged(self.status))

    def _emit(self, message: Posted) -> None:
        with suppress(RuntimeError):  # the window's event loop has just closed
            self._post(message)


def describe(error: Exception) -> str:
    """The text for an error: the project's own say what to do themselves, for others this adds it."""
    if isinstance(error, DlpLocalError):
        return str(error)
    return f"Something unexpected happened ({type(error).__name__}: {error}). Send the message again, or restart."
