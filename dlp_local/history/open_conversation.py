"""The open conversation: its tree of turns in memory, and each change of it stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer, earlier_answers
from dlp_local.core.errors import HistoryError
from dlp_local.core.events import ReplyDone
from dlp_local.core.values import Message, Route
from dlp_local.history.model import (
    Conversation,
    ConversationInfo,
    StoredTurn,
    TurnState,
    alternatives,
    messages,
    newest_leaf,
    path,
    title_of,
)
from dlp_local.history.store import History

Result = TypeVar("Result")


class OpenConversation:
    """One conversation. Where it cannot be stored it goes on all the same, and `problem` says why.

    It gets its number with its first message: an empty conversation leaves no trace.
    """

    def __init__(
        self, history: History, conversation: Conversation | None = None, options: ChatOptions | None = None
    ) -> None:
        self._history = history
        self._unsaved = count(-1, -1)
        self.problem = ""
        self.number = conversation.info.id if conversation else None
        self.title = conversation.info.title if conversation else ""
        self.options = (conversation.info.options if conversation else options) or ChatOptions()
        self.tip = conversation.info.tip if conversation else None
        self.trimmed = 0
        self._turns = {turn.id: turn for turn in conversation.turns} if conversation else {}

    def __getitem__(self, turn: int) -> StoredTurn:
        return self._turns[turn]

    def __contains__(self, turn: int) -> bool:
        return turn in self._turns

    def conversation(self) -> Conversation:
        """All of it as it is now, also what could not be stored."""
        turns = tuple(self._turns.values())
        return Conversation(replace(self._info(), turns=len(turns), tip=self.tip, options=self.options), turns)

    def _info(self) -> ConversationInfo:
        if self.number is not None:
            with suppress(HistoryError):
                return self._history.conversation(self.number).info
        now = datetime.now(UTC).isoformat()
        return ConversationInfo(0, self.title, False, 0, now, now, self.tip, self.options)

    def path(self) -> tuple[StoredTurn, ...]:
        """The shown turns."""
        return path(tuple(self._turns.values()), self.tip)

    def history_messages(self, turn: int | None) -> tuple[Message, ...]:
        """The messages that the assistant is given before the one that follows `turn`."""
        return tuple(messages(path(tuple(self._turns.values()), turn)))

    def route_before(self, turn: StoredTurn) -> Route | None:
        """The route of the last answered turn before this one."""
        before = path(tuple(self._turns.values()), turn.parent)
        return next((t.done.route for t in reversed(before) if t.done and t.answer and t.state == "done"), None)

    def earlier_answers(self, turn: StoredTurn) -> tuple[EarlierAnswer, ...]:
        """The finished answers to the same message in the same place."""
        beside = [self._turns[other] for other in alternatives(tuple(self._turns.values()), turn)]
        finished = (other.done for other in beside if other.text == turn.text and other.state == "done")
        return earlier_answers(done for done in finished if done)

    def alternative_position(self, turn: int) -> tuple[int, int]:
        """Which of how many alternatives a turn is: (2, 3) of `‹ 2/3 ›`."""
        others = alternatives(tuple(self._turns.values()), self._turns[turn])
        return others.index(turn) + 1, len(others)

    def alternative_positions(self) -> dict[int, tuple[int, int]]:
        """`alternative_position` of every turn of the shown path."""
        siblings: dict[int | None, list[int]] = {}
        for turn in self._turns.copy().values():
            siblings.setdefault(turn.parent, []).append(turn.id)
        return {turn.id: (siblings[turn.parent].index(turn.id) + 1, len(siblings[turn.parent])) for turn in self.path()}

    def add(self, text: str, parent: int | None, pack: str) -> StoredTurn:
        """A new message after `parent`, stored before anything is done about it; it becomes the tip."""

        def store() -> StoredTurn:
            if self.number is None:
                self.number = self._history.start(self.options)
            return self._history.add_turn(self.number, parent, text, pack)

        unsaved = StoredTurn(next(self._unsaved), parent, text, pack=pack)
        turn = self._attempt(store, unsaved) if parent is None or parent > 0 else unsaved
        self._turns[turn.id] = turn
        self.tip = turn.id
        self.title = self.title or title_of(text)
        return turn

    def grow(self, turn: int, answer: str) -> None:
        """What has come of an answer so far."""
        self._turns[turn] = replace(self._turns[turn], answer=answer)
        self._store(turn, lambda: self._history.write_answer(turn, answer))

    def finish(self, turn: int, answer: str, done: ReplyDone | None, error: str) -> None:
        """The end of an answer."""
        state: TurnState = "failed" if error else "done"
        self._turns[turn] = replace(self._turns[turn], answer=answer, done=done, error=error, state=state)
        self._store(turn, lambda: self._history.finish(turn, answer, done, error))

    def show(self, turn: int) -> None:
        """Goes to the branch through a turn."""
        self.tip = tip = newest_leaf(tuple(self._turns.values()), turn)
        self._store(tip, lambda: self._history.set_tip(self.number or 0, tip))

    def step(self, turn: int, by: int) -> bool:
        """Goes to the alternative `by` places after a turn's; False where there is none."""
        others = alternatives(tuple(self._turns.values()), self._turns[turn])
        index = others.index(turn) + by
        if not 0 <= index < len(others):
            return False
        self.show(others[index])
        return True

    def undo(self) -> StoredTurn | None:
        """Takes the last turn out of sight; it stays as an alternative of what is written next."""
        if self.tip is None:
            return None
        turn = self._turns[self.tip]
        self.tip = turn.parent
        self._store(turn.id, lambda: self._history.set_tip(self.number or 0, turn.parent))
        return turn

    def set_options(self, options: ChatOptions) -> None:
        """What this conversation sets for itself from now on."""
        self.options = options
        if self.number is not None:
            number = self.number
            self._attempt(lambda: self._history.set_options(number, options), None)

    def _store(self, turn: int, action: Callable[[], None]) -> None:
        """Stores a change of a turn that is stored itself."""
        if turn > 0:
            self._attempt(action, None)

    def _attempt(self, action: Callable[[], Result], otherwise: Result) -> Result:
        """What storing gives, or `otherwise` where it fails; `problem` then says why."""
        try:
            return action()
        except HistoryError as error:
            self.problem = f"{error} This conversation goes on unsaved."
            return otherwise
