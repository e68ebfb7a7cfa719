"""Search over all turns and titles: by words and their beginnings, and by any substring in scripts without spaces."""

from __future__ import annotations

import itertools
import re

from dlp_local.history.database import INDEX_ADVICE, DamagedIndexError, Database, rebuilding_index
from dlp_local.history.model import SearchHit
from dlp_local.history.search_hits import finder
from dlp_local.history.search_text import APART, HIT_END, HIT_START, has_no_spaces, search_text, words_of

EXCERPT_TOKENS, EXCERPT_CHARACTERS = 20, 48
"""Length of an excerpt in words and signs, and in single characters where those are looked for."""

MOST_TITLES = 5
"""Conversations that are found by their titles alone; they come before the turns."""

_PLAIN = re.compile("[A-Za-z0-9\u4e00-\u9fff]")
"""Characters that every version of SQLite takes as parts of words."""


class SearchIndex(Database):
    """The search over the stored turns."""

    @rebuilding_index
    def search(self, words: str, limit: int = 50) -> list[SearchHit]:
        """The newest turns that hold every word, the last one as the beginning of a word.

        Before them stand conversations of which only the title does, by their last turn.
        """
        words = " ".join(words_of(words))
        terms = [_phrase(word) for word in words.split()]
        if not terms:
            return []
        tokens = EXCERPT_CHARACTERS if any(map(has_no_spaces, words)) else EXCERPT_TOKENS
        excerpt = f"snippet(turns_fts, -1, '{HIT_START}', '{HIT_END}', '…', {tokens})"
        query = f"""SELECT t.conversation, t.id, c.title, {excerpt}
                    FROM turns_fts JOIN turns t ON t.id = turns_fts.rowid JOIN conversations c ON c.id = t.conversation
                    WHERE turns_fts MATCH ? AND c.deleted_at IS NULL ORDER BY turns_fts.rowid DESC LIMIT ?"""
        hits = self._rows(query, f"{' '.join(terms)}*", limit)
        if not hits:
            self._check_index()
        titles = self._by_title(words, {conversation for conversation, *_ in hits})
        turns = [
            SearchHit(conversation, turn, title, *_spans(marked.replace(APART, "")))
            for conversation, turn, title, marked in hits
        ]
        return [*titles, *turns][:limit]

    def _by_title(self, words: str, known: set[int]) -> list[SearchHit]:
        """The conversations changed last whose titles hold every word, but for those that are `known`."""
        query = """SELECT id, tip, title FROM conversations
                   WHERE deleted_at IS NULL AND tip IS NOT NULL ORDER BY changed_at DESC"""
        others = (row for row in self._rows(query) if row[0] not in known)
        find = finder(words)
        marked = ((number, tip, title, find(title)) for number, tip, title in others)
        hits = (SearchHit(number, tip, title, title, tuple(spans)) for number, tip, title, spans in marked if spans)
        return list(itertools.islice(hits, MOST_TITLES))

    def _check_index(self) -> None:
        """Raises `DamagedIndexError` where a word of the newest turn is not found in it: garbage may give no error."""
        for turn, text in self._rows("SELECT id, text FROM turns ORDER BY id DESC LIMIT 1"):
            words = (word for word in words_of(text) if len(word) < 50 and _PLAIN.search(word))
            query = "SELECT 1 FROM turns_fts WHERE turns_fts MATCH ? AND rowid = ?"
            if (word := next(words, "")) and not self._rows(query, _phrase(word), turn):
                raise DamagedIndexError(f"{self.path or 'memory'}: the search index is damaged. {INDEX_ADVICE}")


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
