"""The SQLite file behind the history: opened, brought to the present schema, changed whole or not at all.

Whatever SQLite or the disk refuses becomes a `HistoryError` with the advice that fits the reason.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from dlp_local.core.errors import HistoryError
from dlp_local.core.files import is_there, make_folder
from dlp_local.core.paths import OTHER_DATA
from dlp_local.history.schema import VERSION, check_version, migrate, recreate_index, version
from dlp_local.history.search_text import search_text

BUSY_SECONDS = 10
"""How long the lock of another program is waited for."""

BUSY_POLL = 0.02

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGED_INDEX = (sqlite3.SQLITE_CORRUPT_VTAB, sqlite3.SQLITE_CONSTRAINT)
"""What the index's own tables say; a constraint of the history's has an extended code."""

_ELSEWHERE = f"Move it away, or {OTHER_DATA}."
_RIGHTS = f"Give yourself the right to read and write the file and its folder, or {OTHER_DATA}."
_ADVICE = {
    sqlite3.SQLITE_FULL: "Free some room on the disk.",
    sqlite3.SQLITE_BUSY: "Another program is using it: try again once that one is done.",
    sqlite3.SQLITE_LOCKED: "Another program is using it: try again once that one is done.",
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_AUTH: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: f"The folder may be missing. {_RIGHTS}",
    sqlite3.SQLITE_IOERR: "Look whether the disk is full, was unplugged or is damaged.",
    sqlite3.SQLITE_NOMEM: "Close other programs to free memory.",
    sqlite3.SQLITE_CONSTRAINT: "Begin a new conversation.",
    sqlite3.SQLITE_TOOBIG: "It is too long to be stored; shorten it.",
}
_OS_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _ADVICE[sqlite3.SQLITE_FULL]),
    **dict.fromkeys((errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG), _ELSEWHERE),
}
INDEX_ADVICE = "It is built anew by the next search that may write; the conversations are whole."
"""The index holds nothing that the conversations do not."""

_GONE = "this conversation is there no more; it was deleted elsewhere meanwhile"
"""What a constraint means: only the numbers of conversations and turns have some."""

_OTHERWISE = "If that happens again, move the file away; a new history is begun then."

T = TypeVar("T")
P = ParamSpec("P")
Store = TypeVar("Store", bound="Database")


class DamagedHistoryError(HistoryError):
    """The file is there and is no readable database."""


class NoRoomError(HistoryError):
    """The disk takes nothing more; what that had to take may be what SQLite writes beside the file it reads."""


class DamagedIndexError(HistoryError):
    """The conversations can be read, but not the index that they are searched by."""


class OutOfMemoryError(HistoryError):
    """SQLite asked for more memory than there is; garbage in the search index may make it do so."""


class Database:
    """One SQLite file, or None: a database in memory. Every method may be called from any thread.

    What was written when a method returns is there after the program is killed. Raises `HistoryError` where the file
    cannot be read or written; what was stored before then stays. A file that may not be written to is `read_only`, and
    so is one on a full disk.
    """

    def __init__(self, path: Path | None) -> None:
        """Opens or makes the file."""
        self.path = path
        self.read_only = path is not None and is_there(path) and not _is_writable(path)
        self.is_copy = False
        """Whether what is read is a copy in memory, for the disk is full."""
        self._lock = threading.RLock()
        self._closed = False
        with self._explained_errors():
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            return _prepared(_connect(":memory:"), "memory")
        if self.read_only:
            return _open_read_only(self.path)
        if self.path.is_dir():
            raise HistoryError(f"{self.path}: the history cannot be used (it is a folder). {_ELSEWHERE}")
        make_folder(self.path.parent)
        self.path.touch(mode=0o600)
        try:
            return _prepared(_connect(_uri(self.path, "mode=rw")), self.path)
        except sqlite3.OperationalError as error:
            if not _is_for_room(error) or (copy := _copy_to_read(self.path)) is None:
                raise
            self.read_only = self.is_copy = True
            return copy

    def close(self) -> None:
        """Closes the file; whatever is called afterwards raises `HistoryError`."""
        with self._lock:
            self._closed = True
            self._database.close()

    @contextlib.contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Under the lock; says what is wrong with the file in plain words."""
        where = self.path or "memory"
        with self._lock:
            if self._closed:
                raise HistoryError(f"{where}: the history was closed. Open it again.")
            try:
                yield
            except sqlite3.Error as error:
                if self.is_copy and error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
                    advice = _ADVICE[sqlite3.SQLITE_FULL]
                    raise NoRoomError(f"{where}: nothing can be stored, for the disk is full. {advice}") from None
                raise _history_error(where, error) from None
            except OSError as error:
                advice = _OS_ADVICE.get(error.errno or 0, _RIGHTS)
                raise HistoryError(f"{where}: the history cannot be used ({error.strerror}). {advice}") from None
            except MemoryError:
                advice = _ADVICE[sqlite3.SQLITE_NOMEM]
                raise OutOfMemoryError(f"{where}: the history cannot be used (out of memory). {advice}") from None
            except OverflowError:
                raise HistoryError(f"{where}: no number in the history is that large. Give another one.") from None
            except UnicodeEncodeError:
                raise HistoryError(f"{where}: a text with half a character in it cannot be stored. Mend it.") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all."""
        with self._explained_errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query; a text with bytes that are no UTF-8 has U+FFFD there."""
        with self._explained_errors():
            rows = self._database.execute(query, values).fetchall()
        return [tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in row) for row in rows]

    def _erase_rest(self) -> None:
        """Leaves nothing in the write-ahead log of what was deleted."""
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _rebuild_index(self) -> None:
        with self._writing() as database:
            recreate_index(database)


def rebuilding_index(
    method: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate[Store, P], T]:
    """A method that is one query or one change, and is tried again on a new search index where that one is damaged."""

    @functools.wraps(method)
    def call(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(store, *args, **kwargs)
        except (DamagedIndexError, OutOfMemoryError):
            store._rebuild_index()
            return method(store, *args, **kwargs)

    return call


def _history_error(where: Path | str, error: sqlite3.Error) -> HistoryError:
    """What SQLite said, with the advice for its reason; extended result codes have the plain one in their low byte."""
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if extended in _DAMAGED_INDEX or any(name in str(error) for name in ("turns_fts", "fts5")):
        return DamagedIndexError(f"{where}: the search index is damaged ({error}). {INDEX_ADVICE}")
    if code in _DAMAGED:
        return DamagedHistoryError(f"{where}: the history is damaged ({error}). Move the file away.")
    reason = _GONE if code == sqlite3.SQLITE_CONSTRAINT else f"the history cannot be used ({error})"
    kind = NoRoomError if _is_for_room(error) else HistoryError
    return kind(f"{where}: {reason}. {_ADVICE.get(code, _OTHERWISE)}")


def _is_for_room(error: sqlite3.Error) -> bool:
    """Whether a full disk may be the reason; with no room for shared memory, SQLite speaks of an I/O error."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _uri(path: Path, options: str) -> str:
    return f"{path.absolute().as_uri()}?{options}"


def _connect(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    database.text_factory = bytes  # decoded in `_rows`: one bad byte must not hide a whole conversation
    database.create_function("search_text", 1, _sql_search_text, deterministic=True)
    return database


def _sql_search_text(text: object) -> str:
    return search_text(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))


def _prepared(database: sqlite3.Connection, where: Path | str) -> sqlite3.Connection:
    """A database that may be written to, of the present schema."""
    try:
        _write_ahead(database)
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")
        migrate(database, where)
    except BaseException:
        database.close()
        raise
    return database


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switches to a write-ahead log; SQLite does not wait for a lock here, so that of another start is waited for."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_POLL)


def _open_read_only(path: Path) -> sqlite3.Connection:
    """A file that may not be written to; in a folder like that it is read without its write-ahead log.

    Raises `HistoryError` where the schema is not the present one.
    """
    database = _connect(_uri(path, "mode=ro"))
    try:
        try:
            present = version(database)
        except sqlite3.OperationalError:
            database.close()
            database = _connect(_uri(path, "immutable=1"))
            present = version(database)
        check_version(present, path)
        if present < VERSION:
            raise HistoryError(f"{path}: was written by an earlier version and is to be brought up to date. {_RIGHTS}")
    except BaseException:
        database.close()
        raise
    return database


def _copy_to_read(path: Path) -> sqlite3.Connection | None:
    """A copy in memory that can only be read; None where the file is not of the present schema.

    For a full disk, where SQLite cannot write what it shares with other programs beside the file. Alone it needs no
    such thing, but then nobody else can open the file: so all is read at once, with what the write-ahead log has.
    """
    copy = _connect(":memory:")
    try:
        with contextlib.closing(_connect(_uri(path, "mode=rw"))) as file:
            file.execute("PRAGMA locking_mode = EXCLUSIVE")
            if version(file) != VERSION:
                copy.close()
                return None
            file.backup(copy)
        copy.execute("PRAGMA query_only = ON")
    except BaseException:
        copy.close()
        raise
    return copy
