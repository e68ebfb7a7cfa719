"""What the files of a pack were found to hold, remembered, so that a pack of gigabytes opens at once.

A file is known again by its size, its time of change and its inode. What was changed just before it was read is not
remembered: it could be changed once more within the same tick of the file system's clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from dlp_local.core.files import written_aside
from dlp_local.core.paths import data_folder

SETTLED = 2_000_000_000
"""Nanoseconds since its last change after which a file's time tells it from any later version (FAT counts in 2 s)."""

Stamp = list[int | str]
"""Size, time of change in nanoseconds, inode, sha256."""


class HashCache:
    """The remembered hashes of one pack's folder; without `recall` everything is read anew."""

    def __init__(self, folder: Path, *, recall: bool = True) -> None:
        self._folder = folder
        self._file = _memory_of(folder)
        self._known: dict[str, Stamp] = {}
        self._is_new = False
        if recall:
            with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
                self._known = dict(json.loads(self._file.read_text("utf-8")).items())

    def sha256(self, path: Path) -> str:
        """The hash of a file, remembered or read; raises `OSError` where it cannot be read."""
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

    def keep(self) -> None:
        """Writes down what was read; without a data folder that can be written to, it is read again next time."""
        if self._is_new:
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with written_aside(self._file) as part:
                    part.write_text(json.dumps(self._known), "utf-8")


def forget(folder: Path) -> None:
    """Removes what is remembered of a pack's folder."""
    with contextlib.suppress(OSError):
        _memory_of(folder).unlink(missing_ok=True)


def _memory_of(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return data_folder() / "verified" / f"{name}.json"
