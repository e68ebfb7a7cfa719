"""What is kept of conversations, on this machine alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dlp_local.core.errors import HistoryError
from dlp_local.core.paths import history_file
from dlp_local.history.store import DamagedHistoryError, History

__all__ = ["History", "open_history"]


def open_history(path: Path | None = None) -> tuple[History, str]:
    """Opens the history, and says what the user must know, if anything.

    A damaged file is kept under another name, and a new one made. Where no file can be used, what follows is kept in
    memory only.
    """
    path = path or history_file()
    try:
        return History(path), ""
    except DamagedHistoryError:
        aside = path.with_name(f"{path.name}.damaged-{datetime.now():%Y%m%d-%H%M%S}")
        try:
            path.rename(aside)
            for left in ("-wal", "-shm"):
                path.with_name(path.name + left).unlink(missing_ok=True)
            return History(path), f"The history was damaged. It was kept as {aside}, and a new one was begun."
        except OSError as error:
            return History(None), f"{path}: the history is damaged ({error.strerror}). This chat is not saved."
    except HistoryError as error:
        return History(None), f"{error} This chat is not saved."
