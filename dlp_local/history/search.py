"""Search over all turns: by words and their beginnings, and by any substring in scripts without spaces."""

from __future__ import annotations

import re

from dlp_local.history.database import DamagedIndexError, Database, rebuilding_index
from dlp_local.history.model import SearchHit
from dlp_local.history.search_text import APART, HIT_END, HIT_START, search_text

EXCERPT_TOKENS, EXCERPT_CHARACTERS = 16, 48
"""Length of an excerpt in words, and in single characters where those are looked for."""

_PLAIN = re.compile("[A-Za-z0-9\u4e00-\u9fff]")
"""Characters that every version of SQLite takes as parts of words."""


class SearchIndex(Database):
    """The search over the stored turns."""

    @rebuilding_index
    def search(self, words: str, limit: int = 50) -> list[SearchHit]:
        """The newest turns that hold every word, the last one as the beginning of a word."""
        terms = [_phrase(word) for word in words.replace("\0", " ").split()]
        if not terms:
            return []
        tokens = EXCERPT_CHARACTERS if APART in "".join(terms) else EXCERPT_TOKENS
        excerpt = f"snippet(turns_fts, -1, '{HIT_START}', '{HIT_END}', '…', {tokens})"
        query = f"""SELECT t.conversation, t.id, c.title, {excerpt}
                    FROM turns_fts JOIN turns t ON t.id = turns_fts.rowid JOIN conversations c ON c.id = t.conversation
                    WHERE turns_fts MATCH ? AND c.deleted_at IS NULL ORDER BY turns_fts.rowid DESC LIMIT ?"""
        hits = self._rows(query, f"{' '.join(terms)}*", limit)
        if not hits:
            self._check_index()
        return [
            SearchHit(conversation, turn, title, *_spans(marked.replace(APART, "")))
            for conversation, turn, title, marked in hits
        ]

    def _check_index(self) -> None:
        """Raises `DamagedIndexError` where a word of the newest turn is not found in it: garbage may give no error."""
        for turn, text in self._rows("SELECT id, text FROM turns ORDER BY id DESC LIMIT 1"):
            words = (word for word in text.replace("\0", " ").split() if len(word) < 50 and _PLAIN.search(word))
            query = "SELECT 1 FROM turns_fts WHERE turns_fts MATCH ? AND rowid = ?"
            if (word := next(words, "")) and not self._rows(query, _phrase(word), turn):
                raise DamagedIndexError(f"{self.path}: the search index is damaged. Move the file away.")


def _phrase(word: str) -> str:
    return '"' + search_text(word).replace('"', '""') + '"'


def _spans(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """An excerpt without its marks, and where they were."""
    text, spans = "", []
    for number, part in enumerate(re.split(f"[{HIT_START}{HIT_END}]", marked)):
        if number % 2:
            spans.append((len(text), len(text) + len(part)))
        text += part
    return text, tuple(spans)
