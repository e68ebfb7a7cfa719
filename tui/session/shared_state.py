"""What the window shows of the session, changed by two threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from textual.message import Message

from dlp_local.history import NOT_SAVED
from dlp_local.history.open_conversation import OpenConversation
from tui.messages import PathChanged, StatusChanged, TurnChanged
from tui.state import HERE, ConversationView, Place, Status, Turn


class SharedState:
    """The status, the open conversation and its running turns.

    Each change is made and posted under one lock, so that none is lost and the newest value is posted last. Nothing is
    done under it that may wait for a file or for the assistant; reading takes no lock.
    """

    def __init__(self, conversation: OpenConversation, notice: str = "", place: Place = HERE) -> None:
        self._lock = threading.Lock()
        self._post: Callable[[Message], object] = lambda _: None
        self._history_notice = notice
        self._status = Status(place=place, notice=notice, is_unsaved=NOT_SAVED in notice, options=conversation.options)
        self._conversation = conversation
        self._running: dict[int, Turn] = {}

    def post_to(self, post: Callable[[Message], object]) -> None:
        """Messages go to `post` from now on, which must be safe to call from any thread and must not wait."""
        self._post = post

    def post(self, message: Message) -> None:
        """Sends the window a message."""
        with suppress(RuntimeError):  # the window's event loop has just closed
            self._post(message)

    # ---- status ----

    @property
    def status(self) -> Status:
        """The newest one."""
        return self._status

    def update(self, **changes: Any) -> None:
        """Changes fields of the status."""
        with self._lock:
            self._update(**changes)

    def _update(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        self.post(StatusChanged(self._status))

    def check_stored(self, conversation: OpenConversation) -> None:
        """Tells where a conversation could not be stored; each reason once."""
        if conversation.problem and conversation.problem != self._status.notice:
            self.update(notice=conversation.problem, is_unsaved=True)

    # ---- conversation ----

    @property
    def conversation(self) -> OpenConversation:
        """The open one."""
        return self._conversation

    def open(self, conversation: OpenConversation) -> None:
        """Shows another conversation."""
        done = [turn.done for turn in reversed(conversation.path()) if turn.done]
        used = next((reply.context_used for reply in done if reply.context_used), 0)
        with self._lock:
            self._conversation = conversation
            self._running = {}
            self._update(
                context_used=used,
                options=conversation.options,
                notice=conversation.problem or self._history_notice,
                is_unsaved=bool(conversation.problem) or NOT_SAVED in self._history_notice,
            )
            self.post(PathChanged(self.view(), opened=True))

    def show_turn(self, conversation: OpenConversation, turn: Turn) -> None:
        """The newest value of a turn; where its conversation is not open any more, nobody sees it."""
        with self._lock:
            if conversation is self._conversation:
                self._running[turn.id] = turn
                self.post(TurnChanged(turn))

    def show_path(self) -> None:
        """The open conversation's path has changed."""
        with self._lock:  # a turn that ends meanwhile is posted after the path in which it has not ended yet
            self.post(PathChanged(self.view()))

    def turn(self, number: int) -> Turn:
        """A turn of the open conversation as it is now."""
        return self._turn(number, self._conversation.alternative_position(number))

    def _turn(self, number: int, alternative: tuple[int, int]) -> Turn:
        if running := self._running.get(number):
            return replace(running, alternative=alternative)
        return Turn.from_stored(self._conversation[number], alternative)

    def view(self) -> ConversationView:
        """The open conversation as it is to be shown."""
        conversation = self._conversation
        turns = tuple(self._turn(*item) for item in conversation.alternative_positions().items())
        return ConversationView(conversation.number, conversation.title, turns, conversation.options)
