"""The hashes of a pack's files, cached, so that a pack of gigabytes opens at once.

A file is unchanged where its size, its time of change and its inode are. The hash of a file that was changed just
before it was read is not cached: it could be changed once more within the same tick of the file system's clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from dlp_local.core.files import make_folder, written_aside
from dlp_local.core.paths import data_folder

SETTLED = 2_000_000_000
"""Nanoseconds since its last change after which a file's time tells it from any later version (FAT counts in 2 s)."""

Stamp = list[int | str]
"""Size, time of change in nanoseconds, inode, sha256."""


class HashCache:
    """The cached hashes of one pack's folder; without `recall` every file is read again."""

    def __init__(self, folder: Path, *, recall: bool = True) -> None:
        self._folder = folder
        self._file = _cache_file(folder)
        self._known: dict[str, Stamp] = {}
        self._is_new = False
        if recall:
            with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
                self._known = dict(json.loads(self._file.read_text("utf-8")).items())

    def sha256(self, path: Path) -> str:
        """The hash of a file, from the cache or its bytes; raises `OSError` where it cannot be read."""
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
            known = self._known.get(str(path))
            if isinstance(known, list) and known[:3] == stamp and len(known) == 4:
                return str(known[3])
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
        unchanged = [after.st_size, after.st_mtime_ns, after.st_ino] == stamp
        if unchanged and time.time_ns() - status.st_mtime_ns > SETTLED:
            self._known[str(path)] = [*stamp, digest]
            self._is_new = True
        return digest

    def save(self) -> None:
        """Writes the cache; where the data folder cannot be written to, the files are read again next time."""
        if self._is_new:
            with contextlib.suppress(OSError):
                make_folder(self._file.parent)
                with written_aside(self._file) as part:
                    part.write_text(json.dumps(self._known), "utf-8")


def forget_hashes(folder: Path) -> None:
    """Removes the cache of a pack's folder."""
    with contextlib.suppress(OSError):
        _cache_file(folder).unlink(missing_ok=True)


def _cache_file(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return data_folder() / "verified" / f"{name}.json"
