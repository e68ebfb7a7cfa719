"""Lessons: answers that the user mended, and the adapters that are to learn from them."""

from __future__ import annotations

from collections.abc import Collection

from dlp_local.core.errors import HistoryError
from dlp_local.core.values import Lesson
from dlp_local.history.database import Database
from dlp_local.history.stored import messages_from_stored, messages_to_store, now


class LessonStore(Database):
    """The stored lessons."""

    def add_lessons(self, lessons: Collection[Lesson]) -> None:
        """Stores lessons, all or none."""
        with self._writing() as database:
            query = "INSERT INTO lessons (adapter, pack, messages, wrong, right, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            for lesson in lessons:
                messages = messages_to_store(lesson.messages)
                at = lesson.created_at or now()
                database.execute(query, (lesson.adapter, lesson.pack, messages, lesson.wrong, lesson.right, at))

    def lessons(self, adapter: str | None = None) -> list[Lesson]:
        """The lessons of an adapter, whichever pack gave the wrong answer, or with None all of them; the oldest first.

        One whose conversation cannot be read any more has no messages.
        """
        query = "SELECT adapter, pack, messages, wrong, right, created_at, id FROM lessons"
        named, values = ("", ()) if adapter is None else (" WHERE adapter = ?", (adapter,))
        rows = self._rows(f"{query}{named} ORDER BY id", *values)
        return [Lesson(name, pack, messages_from_stored(stored), *rest) for name, pack, stored, *rest in rows]

    def forget_lessons(self, numbers: Collection[int]) -> None:
        """Erases lessons for good; raises `HistoryError` for a number of none, and then all of them stay."""
        with self._writing() as database:
            for number in numbers:
                if not database.execute("DELETE FROM lessons WHERE id = ?", (number,)).rowcount:
                    raise HistoryError(f"there is no lesson {number}. `dlp-local adapters lessons` shows them.")
        self._erase_rest()
