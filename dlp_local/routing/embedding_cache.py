"""Embeddings of examples, kept from one start to the next. The file has hashes of the texts, not the texts."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import filelock
import numpy as np
import numpy.typing as npt

from dlp_local.core.files import written_aside

LOCK_WAIT = 5.0
Floats = npt.NDArray[np.float32]


class EmbeddingCache:
    """A file of one encoder's embeddings by the sha256 of their texts; at most `limit` of them, the newest.

    What cannot be read is computed again, and what cannot be written is not kept: the cache never fails. Two processes
    may use it at once; each change is a whole new file, and the later one has what the earlier one wrote.
    """

    def __init__(self, file: Path, dims: int, limit: int) -> None:
        self._file, self._dims, self._limit = file, dims, limit

    def of(self, texts: Sequence[str], encode: Callable[[Sequence[str]], Floats]) -> Floats:
        """Embeddings float32 (n, dims) of texts; `encode` is asked for those that are not here yet, each once."""
        keys = [_key(text) for text in texts]
        known = self._read() if keys else {}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            fresh = dict(zip(new, encode(list(new.values())), strict=True))
            known |= fresh
            self._add(fresh)
        return np.stack([known[key] for key in keys]) if keys else np.zeros((0, self._dims), np.float32)

    def _read(self) -> dict[str, Floats]:
        try:
            with np.load(self._file, allow_pickle=False) as kept:
                keys, vectors = kept["keys"], kept["vectors"]
            if vectors.dtype == np.float32 and vectors.shape == (len(keys), self._dims) and np.isfinite(vectors).all():
                return dict(zip(map(str, keys.tolist()), vectors, strict=True))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
            pass
        return {}

    def _add(self, fresh: dict[str, Floats]) -> None:
        with suppress(OSError, filelock.Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self._file.with_suffix(".lock"), timeout=LOCK_WAIT):
                kept = list((self._read() | fresh).items())[-self._limit :]
                with written_aside(self._file) as part:
                    part.touch(mode=0o600)  # embeddings of the user's own messages tell much of what they say
                    np.savez(part, keys=np.array([key for key, _ in kept]), vectors=np.stack([v for _, v in kept]))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
