"""Corrections: messages that went to the wrong adapter, and the right one."""

from __future__ import annotations

import json
from collections.abc import Collection

from dlp_local.core.errors import HistoryError
from dlp_local.core.values import Correction
from dlp_local.history.database import Database
from dlp_local.history.stored import mix_from_stored, now


class CorrectionStore(Database):
    """The stored corrections."""

    def correct(self, correction: Correction) -> None:
        """Stores that a message belongs to another adapter."""
        with self._writing() as database:
            query = "INSERT INTO corrections (text, wrong, right, created_at) VALUES (?, ?, ?, ?)"
            wrong = json.dumps(dict(correction.wrong.weights))
            database.execute(query, (correction.text, wrong, correction.right, correction.created_at or now()))

    def corrections(self) -> list[Correction]:
        """All corrections, the oldest first."""
        rows = self._rows("SELECT text, wrong, right, created_at, id FROM corrections ORDER BY id")
        return [Correction(text, mix_from_stored(wrong), *rest) for text, wrong, *rest in rows]

    def forget_corrections(self, numbers: Collection[int]) -> None:
        """Erases corrections for good; raises `HistoryError` for a number of none, and then all of them stay."""
        with self._writing() as database:
            for number in numbers:
                if not database.execute("DELETE FROM corrections WHERE id = ?", (number,)).rowcount:
                    raise HistoryError(f"there is no correction {number}. `dlp-local router corrections` shows them.")
        self._erase_rest()
