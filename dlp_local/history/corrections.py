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
            query = "INSERT INTO corrections (text, wrong, right, pack, created_at) VALUES (?, ?, ?, ?, ?)"
            wrong = json.dumps(dict(correction.wrong.weights))
            values = (correction.text, wrong, correction.right, correction.pack, correction.created_at or now())
            database.execute(query, values)

    def corrections(self, pack: str | None = None) -> list[Correction]:
        """The corrections that hold for a pack of this name, or with None all of them; the oldest first."""
        query = "SELECT text, wrong, right, pack, created_at, id FROM corrections"
        named, values = ("", ()) if pack is None else (" WHERE pack IN (?, '')", (pack,))
        rows = self._rows(f"{query}{named} ORDER BY id", *values)
        return [Correction(text, mix_from_stored(wrong), *rest) for text, wrong, *rest in rows]

    def forget_corrections(self, numbers: Collection[int]) -> None:
        """Erases corrections for good; raises `HistoryError` for a number of none, and then all of them stay."""
        with self._writing() as database:
            for number in numbers:
                if not database.execute("DELETE FROM corrections WHERE id = ?", (number,)).rowcount:
                    raise HistoryError(f"there is no correction {number}. `dlp-local router corrections` shows them.")
        self._erase_rest()
