"""What is kept of conversations, on this machine alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dlp_local.core.errors import HistoryError
from dlp_local.core.paths import history_file
from dlp_local.history.database import DamagedHistoryError
from dlp_local.history.store import History

__all__ = ["NOT_SAVED", "History", "open_history"]

NOT_SAVED = "This chat is not saved."


def open_history(path: Path | None = None) -> tuple[History, str]:
    """Opens the history, and says what the user must know, if anything.

    A damaged file is kept under another name, and a new one made. One that may only be read is opened all the same.
    Where no file can be used, what follows is kept in memory only.
    """
    path = path or history_file()
    try:
        history = History(path)
    except DamagedHistoryError:
        return _begin_anew(path)
    except HistoryError as error:
        return History(None), f"{error} {NOT_SAVED}"
    if not history.read_only:
        return history, ""
    reason = "can only be read, for the disk is full" if history.is_copy else "may only be read"
    return history, f"{path}: {reason}. {NOT_SAVED}"


def _begin_anew(damaged: Path) -> tuple[History, str]:
    """A new history in the place of a damaged one, which is kept with what belongs to it."""
    aside = damaged.with_name(f"{damaged.name}.damaged-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        damaged.rename(aside)
        for suffix in ("-wal", "-shm"):
            if (part := damaged.with_name(damaged.name + suffix)).exists():
                part.rename(aside.with_name(aside.name + suffix))
        return History(damaged), f"The history was damaged. It was kept as {aside}, and a new one was begun."
    except OSError as error:
        return History(None), f"{damaged}: the history is damaged ({error.strerror}). {NOT_SAVED}"
    except HistoryError as error:
        return History(None), f"{error} {NOT_SAVED}"
