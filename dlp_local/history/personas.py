"""Personas: options under a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Container

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.history.database import Database
from dlp_local.history.stored import options_from_stored

LONGEST_NAME = 64


def persona_name(name: str) -> str:
    """The name under which a persona is kept: on one line, and its accents in one spelling, however they were typed.

    Raises `InputError` for one that cannot be typed again.
    """
    kept = _spelled_once(name)
    if not kept:
        raise InputError("an empty name names no persona. Give it one: terse, say.")
    if len(kept) > LONGEST_NAME or not kept.isprintable():
        raise InputError(f"a persona's name has {LONGEST_NAME} characters at most, all of them visible. Give another.")
    return kept


def known_persona(name: str, personas: Container[str]) -> str:
    """The name as it is kept, where it is that of a persona; else as it was written."""
    kept = _spelled_once(name)
    return kept if name not in personas and kept in personas else name


def _spelled_once(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


class PersonaStore(Database):
    """The stored personas."""

    def personas(self) -> dict[str, ChatOptions]:
        """All personas by name."""
        rows = self._rows("SELECT name, options FROM personas ORDER BY name")
        return {name: options_from_stored(options) for name, options in rows}

    def set_persona(self, name: str, options: ChatOptions | None) -> None:
        """Stores a persona in place of another one of its name; None forgets it."""
        with self._writing() as database:
            if options is None:
                database.execute("DELETE FROM personas WHERE name = ?", (name,))
            else:
                own = options.model_copy(update={"persona": name}).model_dump_json(exclude_defaults=True)
                database.execute("INSERT OR REPLACE INTO personas VALUES (?, ?)", (name, own))
