"""Whether another program changed a pack that is open here, and what is to be done then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from dlp_local.core.paths import MANIFEST
from dlp_local.packs.manifest import Manifest, read_manifest


class PackWatch:
    """Looks at the stamp of one file, so that it can be asked before each message, and from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: tuple[int, ...] | None = None
        self._lock = threading.Lock()

    @property
    def may_have_changed(self) -> bool:
        """Whether there is something for `take_over` to read; that takes microseconds to know."""
        return self._present_stamp() not in (None, self._stamp)

    def take_over(self, known: Manifest, refresh: Callable[[], None]) -> bool:
        """Calls `refresh` where the pack is no longer as `known`; gives whether it did.

        One thread does that, while others go on with what is open. What it raises, or `PackError` for a pack that can
        no longer be read, comes once for each change.
        """
        stamp = self._present_stamp()
        if stamp in (None, self._stamp) or not self._lock.acquire(blocking=False):
            return False
        try:
            self._stamp = stamp
            is_changed = read_manifest(self._folder) != known
            if is_changed:
                refresh()
            return is_changed
        finally:
            self._lock.release()

    def _present_stamp(self) -> tuple[int, ...] | None:
        """What tells that `pack.toml` was written anew; None where it is gone: what is open goes on."""
        try:
            stat = (self._folder / MANIFEST).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns
