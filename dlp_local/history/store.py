"""All that is stored on this machine, in one SQLite file."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dlp_local.history.conversations import ConversationStore
from dlp_local.history.corrections import CorrectionStore
from dlp_local.history.database import NoRoomError
from dlp_local.history.drafts import DraftStore
from dlp_local.history.lessons import LessonStore
from dlp_local.history.personas import PersonaStore
from dlp_local.history.search import SearchIndex

KEPT_DELETED = timedelta(days=30)
"""How long a deleted conversation can be brought back."""


class History(ConversationStore, SearchIndex, DraftStore, CorrectionStore, LessonStore, PersonaStore):
    """Conversations, the search over them, drafts, corrections, lessons and personas, of one file or in memory."""

    def __init__(self, path: Path | None) -> None:
        """Opens or makes the file, and erases what was deleted long ago."""
        super().__init__(path)
        try:
            if not self.read_only:
                with suppress(NoRoomError):  # what is stored can be read; a later start erases
                    self.purge_deleted_before(datetime.now(UTC) - KEPT_DELETED)
        except BaseException:
            self.close()
            raise
