"""Conversations on this machine, in one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import HistoryError
from dlp_local.core.events import ReplyDone
from dlp_local.core.serialize import receipt_json, reply_from_json
from dlp_local.core.values import Correction, Mix
from dlp_local.history.model import Conversation, ConversationInfo, SearchHit, StoredTurn, newest_leaf, title_of
from dlp_local.history.schema import VERSION, migrate

KEPT_DELETED = timedelta(days=30)
"""How long a deleted conversation can be brought back."""

BROKEN_OFF = "The program ended in the middle of this answer."
BUSY_SECONDS = 10
EXCERPT_TOKENS = 16
_START, _END = "\x02", "\x03"

_INFO = """SELECT c.id, c.title, c.pinned, (SELECT count(*) FROM turns t WHERE t.conversation = c.id), c.created_at,
           c.changed_at, c.tip, c.options FROM conversations c"""


class DamagedHistoryError(HistoryError):
    """The file is there and is no readable database."""


class History:
    """All conversations, drafts, corrections and personas. Every method may be called from any thread.

    What was written when a method returns is there after the program is killed. Raises `HistoryError` where the file
    cannot be read or written; what was stored before then stays.
    """

    def __init__(self, path: Path | None) -> None:
        """Opens or makes the file; None keeps everything in memory."""
        self.path = path
        self._lock = threading.RLock()
        with self._told():
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
            self._database = sqlite3.connect(
                path or ":memory:", timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.execute("PRAGMA secure_delete = ON")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise HistoryError(f"{self.path}: was written by a newer version of dlp-local. Install that one again.")
        migrate(self._database)
        before = (datetime.now(UTC) - KEPT_DELETED).isoformat()
        for (number,) in self._rows("SELECT id FROM conversations WHERE deleted_at < ?", before):
            self.purge(number)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Says what is wrong with the file in plain words."""
        where = self.path or "memory"
        try:
            with self._lock:
                yield
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise DamagedHistoryError(f"{where}: the history is damaged ({error}). Move the file away.") from None
            hint = "Free some room on the disk, and check the rights of the file and its folder."
            raise HistoryError(f"{where}: the history cannot be used ({error}). {hint}") from None
        except OSError as error:
            raise HistoryError(f"{where}: the history cannot be used ({error.strerror}). Check the rights.") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._told():
            return self._database.execute(query, values).fetchall()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._database.close()

    # ---- conversations ----

    def start(self, options: ChatOptions | None = None, title: str = "") -> int:
        """Makes an empty conversation; its first message gives it a title, unless it has one."""
        now, own = _now(), (options or ChatOptions()).model_dump_json(exclude_defaults=True)
        with self._writing() as database:
            query = "INSERT INTO conversations (title, options, created_at, changed_at) VALUES (?, ?, ?, ?)"
            return int(database.execute(query, (title, own, now, now)).lastrowid or 0)

    def conversations(self, limit: int = 200, offset: int = 0) -> list[ConversationInfo]:
        """Those that are not deleted: the pinned ones first, then the newest."""
        order = "WHERE deleted_at IS NULL ORDER BY pinned DESC, changed_at DESC, id DESC LIMIT ? OFFSET ?"
        return [_info(row) for row in self._rows(f"{_INFO} {order}", limit, offset)]

    def conversation(self, number: int) -> Conversation:
        """A whole conversation; raises `HistoryError` where there is none of that number."""
        rows = self._rows(f"{_INFO} WHERE c.id = ? AND c.deleted_at IS NULL", number)
        if not rows:
            raise HistoryError(f"there is no conversation {number}. `dlp-local history list` shows those there are.")
        columns = "id, parent, text, answer, state, error, receipt, pack, created_at"
        turns = self._rows(f"SELECT {columns} FROM turns WHERE conversation = ? ORDER BY id", number)
        return Conversation(_info(rows[0]), tuple(map(_turn, turns)))

    def last(self) -> int | None:
        """The conversation that was changed last."""
        rows = self._rows("SELECT id FROM conversations WHERE deleted_at IS NULL ORDER BY changed_at DESC, id DESC")
        return int(rows[0][0]) if rows else None

    def rename(self, number: int, title: str) -> None:
        """Gives a conversation a title; a blank one gives it back the one of its first message."""
        if not (given := " ".join(title.split())):
            rows = self._rows("SELECT text FROM turns WHERE conversation = ? ORDER BY id LIMIT 1", number)
            given = title_of(rows[0][0]) if rows else ""
        self._change(number, "title", given)

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
        self._change(number, "deleted_at", _now())

    def restore(self, number: int) -> None:
        """Takes a deletion back."""
        self._change(number, "deleted_at", None)

    def purge(self, number: int | None = None) -> None:
        """Erases a conversation for good, deleted or not; none: all that are deleted."""
        chosen, values = ("id = ?", (number,)) if number is not None else ("deleted_at IS NOT NULL", ())
        with self._writing() as database:
            gone = database.execute(f"DELETE FROM conversations WHERE {chosen}", values).rowcount
            if gone:  # the search index keeps the words of what was deleted until it is written anew
                database.execute("INSERT INTO found (found) VALUES ('optimize')")
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _change(self, number: int, column: str, value: object) -> None:
        with self._writing() as database:
            done = database.execute(f"UPDATE conversations SET {column} = ? WHERE id = ?", (value, number))
            if not done.rowcount:
                raise HistoryError(f"there is no conversation {number}.")

    # ---- turns ----

    def add_turn(self, conversation: int, parent: int | None, text: str, pack: str = "") -> StoredTurn:
        """Stores a message before anything is done about it; it becomes the tip."""
        now = _now()
        with self._writing() as database:
            query = "INSERT INTO turns (conversation, parent, text, pack, created_at) VALUES (?, ?, ?, ?, ?)"
            turn = int(database.execute(query, (conversation, parent, text, pack, now)).lastrowid or 0)
            database.execute("INSERT INTO found (rowid, text, answer) VALUES (?, ?, '')", (turn, text))
            query = "UPDATE conversations SET tip = ?, changed_at = ?, title = iif(title = '', ?, title) WHERE id = ?"
            database.execute(query, (turn, now, title_of(text), conversation))
        return StoredTurn(turn, parent, text, pack=pack, created_at=now)

    def write_answer(self, turn: int, answer: str) -> None:
        """Stores what has come of an answer so far."""
        with self._writing() as database:
            database.execute("UPDATE turns SET answer = ? WHERE id = ?", (answer, turn))

    def finish(self, turn: int, answer: str, done: ReplyDone | None, error: str = "") -> None:
        """Stores the end of an answer: with its receipt, or with what went wrong."""
        receipt = json.dumps(receipt_json(done), ensure_ascii=False) if done else None
        state = "failed" if error else "done"
        with self._writing() as database:
            query = "UPDATE turns SET answer = ?, state = ?, error = ?, receipt = ? WHERE id = ?"
            database.execute(query, (answer, state, error, receipt, turn))
            database.execute("UPDATE found SET answer = ? WHERE rowid = ?", (answer, turn))
            query = "UPDATE conversations SET changed_at = ? WHERE id = (SELECT conversation FROM turns WHERE id = ?)"
            database.execute(query, (_now(), turn))

    def end_unfinished(self, conversation: int) -> None:
        """Marks the turns of a conversation that no program is answering any more as broken off."""
        for turn in self.conversation(conversation).turns:
            if turn.state == "sent":
                self.finish(turn.id, turn.answer, None, BROKEN_OFF)

    def insert(self, conversation: Conversation) -> int:
        """Stores a conversation that comes from elsewhere, under new numbers; returns that of the conversation."""
        info, numbers = conversation.info, dict[int, int]()
        with self._writing() as database:
            values = (info.title, info.pinned, info.options.model_dump_json(exclude_defaults=True),
                      info.created_at, info.changed_at)  # fmt: skip
            query = "INSERT INTO conversations (title, pinned, options, created_at, changed_at) VALUES (?, ?, ?, ?, ?)"
            number = int(database.execute(query, values).lastrowid or 0)
            for turn in conversation.turns:
                receipt = json.dumps(receipt_json(turn.done), ensure_ascii=False) if turn.done else None
                parent = numbers[turn.parent] if turn.parent is not None else None
                row = (number, parent, turn.text, turn.answer, turn.state, turn.error, receipt, turn.pack,
                       turn.created_at)  # fmt: skip
                columns = "conversation, parent, text, answer, state, error, receipt, pack, created_at"
                query = f"INSERT INTO turns ({columns}) VALUES ({', '.join('?' * len(row))})"
                numbers[turn.id] = int(database.execute(query, row).lastrowid or 0)
                query = "INSERT INTO found (rowid, text, answer) VALUES (?, ?, ?)"
                database.execute(query, (numbers[turn.id], turn.text, turn.answer))
            tip = numbers.get(info.tip) if info.tip is not None else None
            database.execute("UPDATE conversations SET tip = ? WHERE id = ?", (tip, number))
        return number

    def step(self, conversation: int, turn: int) -> int:
        """Shows the branch through a turn; returns its end, the new tip."""
        leaf = newest_leaf(self.conversation(conversation).turns, turn)
        self.set_tip(conversation, leaf)
        return leaf

    def search(self, words: str, limit: int = 50) -> list[SearchHit]:
        """The newest turns that hold every word, the last one as the beginning of a word."""
        terms = ['"' + word.replace('"', '""') + '"' for word in words.replace("\0", " ").split()]
        if not terms:
            return []
        excerpt = f"snippet(found, -1, '{_START}', '{_END}', '…', {EXCERPT_TOKENS})"
        query = f"""SELECT t.conversation, t.id, c.title, {excerpt} FROM found
                    JOIN turns t ON t.id = found.rowid JOIN conversations c ON c.id = t.conversation
                    WHERE found MATCH ? AND c.deleted_at IS NULL ORDER BY found.rowid DESC LIMIT ?"""
        return [
            SearchHit(row[0], row[1], row[2], *_spans(row[3]))
            for row in self._rows(query, f"{' '.join(terms)}*", limit)
        ]

    # ---- drafts, corrections, personas ----

    def draft(self, conversation: int | None) -> str:
        """What was written but not sent, in a conversation or (None) for a new one."""
        rows = self._rows("SELECT text FROM drafts WHERE conversation = ?", conversation or 0)
        return str(rows[0][0]) if rows else ""

    def set_draft(self, conversation: int | None, text: str) -> None:
        """Stores what is written but not sent."""
        with self._writing() as database:
            if text:
                database.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?)", (conversation or 0, text))
            else:
                database.execute("DELETE FROM drafts WHERE conversation = ?", (conversation or 0,))

    def correct(self, correction: Correction) -> None:
        """Stores that a message belongs to another adapter."""
        with self._writing() as database:
            query = "INSERT INTO corrections (text, wrong, right, created_at) VALUES (?, ?, ?, ?)"
            wrong = json.dumps(dict(correction.wrong.weights))
            database.execute(query, (correction.text, wrong, correction.right, correction.created_at or _now()))

    def corrections(self) -> list[Correction]:
        """All corrections, the oldest first."""
        rows = self._rows("SELECT text, wrong, right, created_at, id FROM corrections ORDER BY id")
        return [Correction(text, Mix.of(json.loads(wrong)), *rest) for text, wrong, *rest in rows]

    def forget_corrections(self, numbers: Collection[int]) -> None:
        """Erases corrections for good; raises `HistoryError` for a number of none, and then all of them stay."""
        with self._writing() as database:
            for number in numbers:
                if not database.execute("DELETE FROM corrections WHERE id = ?", (number,)).rowcount:
                    raise HistoryError(f"there is no correction {number}. `dlp-local router corrections` shows them.")
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def personas(self) -> dict[str, ChatOptions]:
        """All personas by name."""
        return {name: _options(own) for name, own in self._rows("SELECT name, options FROM personas ORDER BY name")}

    def set_persona(self, name: str, options: ChatOptions | None) -> None:
        """Stores a persona in place of another one of its name; None forgets it."""
        with self._writing() as database:
            if options is None:
                database.execute("DELETE FROM personas WHERE name = ?", (name,))
            else:
                own = options.model_copy(update={"persona": name}).model_dump_json(exclude_defaults=True)
                database.execute("INSERT OR REPLACE INTO personas VALUES (?, ?)", (name, own))


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _options(stored: str) -> ChatOptions:
    """Options as they were stored; those of a version that knew others are left to the settings."""
    try:
        return ChatOptions.model_validate_json(stored)
    except ValidationError:
        return ChatOptions()


def _info(row: tuple[Any, ...]) -> ConversationInfo:
    number, title, pinned, turns, created, changed, tip, options = row
    return ConversationInfo(number, title, bool(pinned), turns, created, changed, tip, _options(options))


def _turn(row: tuple[Any, ...]) -> StoredTurn:
    number, parent, text, answer, state, error, receipt, pack, created = row
    done = reply_from_json(text, answer, json.loads(receipt)) if receipt else None
    return StoredTurn(number, parent, text, answer, state, error, done, pack, created)


def _spans(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """An excerpt without its marks, and where they were."""
    text, spans = "", []
    for number, part in enumerate(marked.replace(_END, _START).split(_START)):
        if number % 2:
            spans.append((len(text), len(text) + len(part)))
        text += part
    return text, tuple(spans)
