"""The folder in which a server keeps what clients sent for trainings, and what came of them; one server at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from dlp_local.core.files import NO_ROOM, make_folder
from dlp_local.core.paths import OTHER_DATA
from dlp_local.server.errors import ApiError

LOCK = ".lock"
MODE = 0o700


class KeptFolder:
    """A folder that is made, and taken, when something in it is first asked for; may be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = filelock.FileLock(path / LOCK, thread_local=False)
        self._taking = threading.Lock()

    def taken(self, name: str) -> Path:
        """A folder in it; raises `ApiError` where another server of the pack has it, or it cannot be made."""
        with self._taking, disk_told():
            make_folder(self._path / name)
            if not self._lock.is_locked:
                self._path.chmod(MODE)
                try:
                    self._lock.acquire(timeout=0)
                except filelock.Timeout:
                    raise ApiError(
                        503, "another server of this pack has the files and the trainings. Ask that one, or end it.",
                        code="trainings_elsewhere",
                    ) from None  # fmt: skip
        return self._path / name

    def close(self) -> None:
        """Leaves it to the next server."""
        self._lock.release()


@contextmanager
def disk_told() -> Iterator[None]:
    """Raises an `OSError` of its body as an `ApiError` with the reason and what helps: 507 where the disk is full."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in NO_ROOM:
            raise ApiError(
                507, f"the server's disk is full ({reason}). Free some room there.", code="disk_full"
            ) from None
        raise ApiError(
            500, f"the server cannot keep files ({reason}). Check the rights of its data folder, or {OTHER_DATA}.",
            code="disk_failed",
        ) from None  # fmt: skip
