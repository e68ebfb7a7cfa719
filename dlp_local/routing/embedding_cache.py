"""Embeddings of texts, kept from one start to the next. The file has hashes of the texts, not the texts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlp_local.core.files import make_folder

LIMIT = 110_000
"""Embeddings that are kept of one encoder; those of 110,000 texts take some 250 MB on the disk."""

BUSY_SECONDS = 0.2
"""How long another program's lock is waited for: a correction must not keep the window waiting."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLE = "CREATE TABLE IF NOT EXISTS embeddings (key TEXT PRIMARY KEY, vector BLOB NOT NULL, used INTEGER NOT NULL)"
_INDEX = "CREATE INDEX IF NOT EXISTS embeddings_by_use ON embeddings (used)"

Floats = npt.NDArray[np.float32]


class EmbeddingCache:
    """An SQLite table of one encoder's embeddings by the sha256 of their texts; the `limit` last used ones stay.

    What cannot be read is computed again, and what cannot be written is not kept: the cache never fails, and waits for
    no other program. Any number of threads and processes may use it at once.
    """

    def __init__(self, file: Path, dims: int, limit: int = LIMIT) -> None:
        self._file, self._dims, self._limit = file, dims, limit

    def of(self, texts: Sequence[str], encode: Callable[[Sequence[str]], Floats]) -> Floats:
        """Embeddings float32 (n, dims) of texts; `encode` is asked for those that are not here yet, each once."""
        keys = [_key(text) for text in texts]
        known = self._read(set(keys)) if keys else {}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            fresh = dict(zip(new, encode(list(new.values())), strict=True))
            known |= fresh
            self._add(fresh)
        return np.stack([known[key] for key in keys]) if keys else np.zeros((0, self._dims), np.float32)

    def _read(self, keys: set[str]) -> dict[str, Floats]:
        """Those of some keys that are here and whole; they count as used today."""
        known: dict[str, Floats] = {}
        with self._unless_it_fails(), contextlib.closing(self._connect()) as database:
            asked = json.dumps(list(keys))
            query = "SELECT key, vector, used FROM embeddings WHERE key IN (SELECT value FROM json_each(?))"
            rows = database.execute(query, (asked,)).fetchall()
            size = self._dims * np.dtype(np.float32).itemsize
            vectors = {key: np.frombuffer(vector, np.float32) for key, vector, _ in rows if len(vector) == size}
            known = {key: vector for key, vector in vectors.items() if np.isfinite(vector).all()}
            if any(used < _today() for *_, used in rows):
                query = "UPDATE embeddings SET used = ? WHERE key IN (SELECT value FROM json_each(?))"
                database.execute(query, (_today(), asked))
                database.commit()
        return known

    def _add(self, fresh: Mapping[str, Floats]) -> None:
        with self._unless_it_fails():
            if not self._file.exists():
                self._make_file()
            with contextlib.closing(self._connect()) as database, database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(_TABLE)
                database.execute(_INDEX)
                rows = ((key, vector.astype(np.float32).tobytes(), _today()) for key, vector in fresh.items())
                database.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", rows)
                oldest = "SELECT rowid FROM embeddings ORDER BY used DESC, rowid DESC LIMIT -1 OFFSET ?"
                database.execute(f"DELETE FROM embeddings WHERE rowid IN ({oldest})", (self._limit,))

    def _make_file(self) -> None:
        """Makes an empty file that nobody else may read: embeddings of the user's messages tell much of what they say.

        Those that an earlier version kept as `.npz` are removed.
        """
        make_folder(self._file.parent)
        self._file.touch(mode=0o600)
        for earlier in (*self._file.parent.glob("*.npz"), *self._file.parent.glob("*.lock")):
            earlier.unlink(missing_ok=True)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=rw", timeout=BUSY_SECONDS, uri=True)

    @contextlib.contextmanager
    def _unless_it_fails(self) -> Iterator[None]:
        """Goes on after whatever goes wrong with the file; one that is no database any more is removed."""
        try:
            yield
        except (sqlite3.Error, OSError, TypeError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                with contextlib.suppress(OSError):
                    self._file.with_name(f"{self._file.name}-journal").unlink(missing_ok=True)
                    self._file.unlink()


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _today() -> int:
    return int(time.time() // 86_400)
