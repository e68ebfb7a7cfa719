"""Conversations and their turns, stored as they are made."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Any

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.core.events import ReplyDone
from dlp_local.history.database import Database, rebuilding_index
from dlp_local.history.model import BROKEN_OFF, Conversation, ConversationInfo, StoredTurn, newest_leaf, title_of
from dlp_local.history.stored import now, options_from_stored, receipt_to_store, reply_from_stored, time_from_stored

_INFO = """SELECT c.id, c.title, c.pinned, (SELECT count(*) FROM turns t WHERE t.conversation = c.id), c.created_at,
           c.changed_at, c.tip, c.options FROM conversations c"""
_TURN = "SELECT id, parent, text, answer, state, error, receipt, pack, created_at FROM turns"


class ConversationStore(Database):
    """The stored conversations."""

    def start(self, options: ChatOptions | None = None, title: str = "") -> int:
        """Makes an empty conversation; its first message gives it a title, unless it has one."""
        own = (options or ChatOptions()).model_dump_json(exclude_defaults=True)
        with self._writing() as database:
            at = _after_all(database)
            query = "INSERT INTO conversations (title, options, created_at, changed_at) VALUES (?, ?, ?, ?)"
            return int(database.execute(query, (title, own, at, at)).lastrowid or 0)

    def conversations(self, limit: int = 200, offset: int = 0) -> list[ConversationInfo]:
        """Those that are not deleted: the pinned ones first, then the newest."""
        order = "WHERE deleted_at IS NULL ORDER BY pinned DESC, changed_at DESC, id DESC LIMIT ? OFFSET ?"
        return [_info(row) for row in self._rows(f"{_INFO} {order}", limit, offset)]

    def conversation(self, number: int) -> Conversation:
        """A whole conversation; raises `HistoryError` where there is none of that number."""
        rows = self._rows(f"{_INFO} WHERE c.id = ? AND c.deleted_at IS NULL", number)
        if not rows:
            raise HistoryError(f"there is no conversation {number}. `dlp-local history list` shows those there are.")
        turns = self._rows(f"{_TURN} WHERE conversation = ? ORDER BY id", number)
        return Conversation(_info(rows[0]), tuple(map(_turn, turns)))

    def has(self, number: int) -> bool:
        """Whether there is a conversation of that number which is not deleted."""
        return bool(self._rows("SELECT 1 FROM conversations WHERE id = ? AND deleted_at IS NULL", number))

    def last(self) -> int | None:
        """The conversation that was changed last."""
        rows = self._rows("SELECT id FROM conversations WHERE deleted_at IS NULL ORDER BY changed_at DESC, id DESC")
        return int(rows[0][0]) if rows else None

    def rename(self, number: int, title: str) -> None:
        """Gives a conversation a title; a blank one gives it back the one of its first message."""
        title = " ".join(title.split())
        if not title:
            rows = self._rows("SELECT text FROM turns WHERE conversation = ? ORDER BY id LIMIT 1", number)
            title = title_of(rows[0][0]) if rows else ""
        self._change(number, "title", title)

    def pin(self, number: int, pinned: bool = True) -> None:
        """Keeps a conversation at the top of the list, or no longer."""
        self._change(number, "pinned", int(pinned))

    def set_options(self, number: int, options: ChatOptions) -> None:
        """Sets what a conversation sets for itself."""
        self._change(number, "options", options.model_dump_json(exclude_defaults=True))

    def set_tip(self, number: int, turn: int | None) -> None:
        """Shows the branch that ends with a turn."""
        self._change(number, "tip", turn)

    def delete(self, number: int) -> None:
        """Takes a conversation out of every list; `restore` brings it back within thirty days."""
        self._change(number, "deleted_at", now())

    def restore(self, number: int) -> None:
        """Takes a deletion back."""
        self._change(number, "deleted_at", None)

    def purge(self, number: int | None = None) -> None:
        """Erases a conversation for good, deleted or not; none: all that are deleted."""
        if number is None:
            self._purge("deleted_at IS NOT NULL")
        else:
            self._purge("id = ?", number)

    def purge_deleted_before(self, moment: datetime) -> None:
        """Erases what was deleted before a moment for good."""
        if self._rows("SELECT 1 FROM conversations WHERE deleted_at < ? LIMIT 1", moment.isoformat()):
            self._purge("deleted_at < ?", moment.isoformat())

    @rebuilding_index
    def _purge(self, condition: str, *values: object) -> None:
        with self._writing() as database:
            if database.execute(f"DELETE FROM conversations WHERE {condition}", values).rowcount:
                # the search index keeps the words of what was deleted until it is written anew
                database.execute("INSERT INTO turns_fts (turns_fts) VALUES ('optimize')")
        self._erase_rest()

    def _change(self, number: int, column: str, value: object) -> None:
        with self._writing() as database:
            if not database.execute(f"UPDATE conversations SET {column} = ? WHERE id = ?", (value, number)).rowcount:
                raise HistoryError(
                    f"there is no conversation {number}, deleted or not. `dlp-local history list` has those there are."
                )

    @rebuilding_index
    def add_turn(self, conversation: int, parent: int | None, text: str, pack: str = "") -> StoredTurn:
        """Stores a message before anything is done about it; it becomes the tip.

        A conversation that was deleted meanwhile is there again: what is written on is not to vanish with it.
        """
        with self._writing() as database:
            at = _after_all(database)
            query = "INSERT INTO turns (conversation, parent, text, pack, created_at) VALUES (?, ?, ?, ?, ?)"
            turn = int(database.execute(query, (conversation, parent, text, pack, at)).lastrowid or 0)
            change = "tip = ?, changed_at = ?, title = iif(title = '', ?, title), deleted_at = NULL"
            database.execute(
                f"UPDATE conversations SET {change} WHERE id = ?", (turn, at, title_of(text), conversation)
            )
        return StoredTurn(turn, parent, text, pack=pack, created_at=at)

    def write_answer(self, turn: int, answer: str) -> None:
        """Stores what has come of an answer so far."""
        with self._writing() as database:
            database.execute("UPDATE turns SET answer = ? WHERE id = ?", (answer, turn))

    @rebuilding_index
    def finish(self, turn: int, answer: str, done: ReplyDone | None, error: str = "") -> None:
        """Stores the end of an answer: with its receipt, or with what went wrong."""
        state = "failed" if error else "done"
        with self._writing() as database:
            query = "UPDATE turns SET answer = ?, state = ?, error = ?, receipt = ? WHERE id = ?"
            database.execute(query, (answer, state, error, receipt_to_store(done), turn))
            query = "UPDATE conversations SET changed_at = ? WHERE id = (SELECT conversation FROM turns WHERE id = ?)"
            database.execute(query, (_after_all(database), turn))

    def end_unfinished(self, conversation: int) -> None:
        """Marks the turns of a conversation that no program is answering any more as broken off."""
        for turn in self.conversation(conversation).turns:
            if turn.state == "sent":
                self.finish(turn.id, turn.answer, None, BROKEN_OFF)

    @rebuilding_index
    def insert(self, conversation: Conversation) -> int:
        """Stores a conversation that comes from elsewhere, under new numbers; returns that of the conversation."""
        info = conversation.info
        with self._writing() as database:
            options = info.options.model_dump_json(exclude_defaults=True)
            query = "INSERT INTO conversations (title, pinned, options, created_at, changed_at) VALUES (?, ?, ?, ?, ?)"
            at = now()  # one whose clock was ahead would be the last one for ever
            title = " ".join(info.title.split())
            row = (title, info.pinned, options, min(info.created_at, at), min(info.changed_at, at))
            number = int(database.execute(query, row).lastrowid or 0)
            numbers: dict[int | None, int | None] = {None: None}
            for turn in conversation.turns:
                numbers[turn.id] = _insert_turn(database, number, numbers[turn.parent], turn)
            database.execute("UPDATE conversations SET tip = ? WHERE id = ?", (numbers.get(info.tip), number))
        return number

    def step(self, conversation: int, turn: int) -> int:
        """Shows the branch through a turn; returns its end, the new tip."""
        leaf = newest_leaf(self.conversation(conversation).turns, turn)
        self.set_tip(conversation, leaf)
        return leaf


def _after_all(database: sqlite3.Connection) -> str:
    """The present moment; where the clock was put back, one just after the newest change: what is last stays last."""
    at = now()
    (newest,) = database.execute("SELECT max(changed_at) FROM conversations").fetchone()
    latest = newest.decode("utf-8", "replace") if newest else ""
    if latest < at:
        return at
    try:
        return (datetime.fromisoformat(latest) + timedelta(microseconds=1)).isoformat()
    except (ValueError, OverflowError):
        return at


def _insert_turn(database: sqlite3.Connection, conversation: int, parent: int | None, turn: StoredTurn) -> int | None:
    columns = "conversation, parent, text, answer, state, error, receipt, pack, created_at"
    row = (conversation, parent, turn.text, turn.answer, turn.state, turn.error, receipt_to_store(turn.done), turn.pack,
           turn.created_at)  # fmt: skip
    return database.execute(f"INSERT INTO turns ({columns}) VALUES ({', '.join('?' * len(row))})", row).lastrowid


def _info(row: tuple[Any, ...]) -> ConversationInfo:
    number, title, pinned, turns, created, changed, tip, options = row
    times = time_from_stored(created), time_from_stored(changed)
    return ConversationInfo(number, title, bool(pinned), turns, *times, tip, options_from_stored(options))


def _turn(row: tuple[Any, ...]) -> StoredTurn:
    number, parent, text, answer, state, error, receipt, pack, created = row
    reply = reply_from_stored(text, answer, receipt)
    return StoredTurn(number, parent, text, answer, state, error, reply, pack, created)
