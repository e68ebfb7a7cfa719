"""Personas: options under a name."""

from __future__ import annotations

from dlp_local.core.chat_options import ChatOptions
from dlp_local.history.database import Database
from dlp_local.history.stored import options_from_stored


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
