"""Drafts: what was written and not sent, of each window its own."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import cached_property
from pathlib import Path

from dlp_local.core.errors import HistoryError
from dlp_local.history.database import Database


class DraftStore(Database):
    """The stored drafts. One opened history is one window; a draft is offered again once its window is gone."""

    def __init__(self, path: Path | None) -> None:
        """Opens or makes the file."""
        self._token = secrets.token_hex(4)
        super().__init__(path)

    @cached_property
    def _window(self) -> str:
        import psutil  # not before the first paint

        return f"{os.getpid()} {psutil.Process().create_time()} {self._token}"

    def draft(self, conversation: int | None) -> str:
        """What was written in a conversation or, with None, for a new one: here, or else in a window that is gone.

        The latter, the newest of them, is this window's from then on.
        """
        rows = self._rows(
            "SELECT id, window, text FROM window_drafts WHERE conversation IS ? ORDER BY window = ? DESC, id DESC",
            conversation,
            self._window,
        )
        for number, window, text in rows:
            if window == self._window:
                return str(text)
            if not _is_open(window) and self._takes_over(number, window):
                return str(text)
        return ""

    def set_draft(self, conversation: int | None, text: str) -> None:
        """Stores what is written in this window and not sent; nothing where it was sent or taken away.

        Raises `HistoryError` for a conversation that is not there.
        """
        own = (conversation, self._window)
        with self._writing() as database:
            database.execute("DELETE FROM window_drafts WHERE conversation IS ? AND window = ?", own)
            if text:
                database.execute(
                    "INSERT INTO window_drafts (conversation, window, text) VALUES (?, ?, ?)", (*own, text)
                )

    def close(self) -> None:
        """Leaves the drafts of this window to others, and closes the file."""
        with contextlib.suppress(HistoryError), self._writing() as database:
            database.execute("UPDATE window_drafts SET window = '' WHERE window = ?", (self._window,))
        super().close()

    def _takes_over(self, number: int, window: str) -> bool:
        """Makes a draft this window's; False where another window was faster. One that cannot be written is read."""
        if self.read_only:
            return True
        with self._writing() as database:
            query = "UPDATE window_drafts SET window = ? WHERE id = ? AND window = ?"
            return database.execute(query, (self._window, number, window)).rowcount == 1


def _is_open(window: str) -> bool:
    """Whether the program that a window belongs to still runs; the number of a process is given out again."""
    import psutil

    try:
        number, started, _ = window.split(" ")
        return bool(psutil.Process(int(number)).create_time() == float(started))
    except (ValueError, psutil.NoSuchProcess):
        return False
    except psutil.Error:
        return True
