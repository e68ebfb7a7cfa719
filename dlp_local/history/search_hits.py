"""Where the words of a search stand in a text, by the rules of the search index."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from dlp_local.history.search_text import stands_alone

Token = tuple[str, int, int]
"""A word of a text as it is compared, where it starts and where it ends."""


def hits(text: str, words: str) -> list[tuple[int, int]]:
    """The (start, end) of each place where a word of a search stands, in order; the last one may be a beginning.

    A word of a search that is several in the index, `co-op` or a Chinese one, stands where these follow each other.
    """
    tokens = list(_tokens(text))
    phrases = [[word for word, _, _ in _tokens(written)] for written in words.split()]
    spans = {
        (tokens[at][1], tokens[at + len(phrase) - 1][2])
        for number, phrase in enumerate(phrases, 1)
        for at in range(len(tokens) - len(phrase) + 1)
        if phrase and _begins(tokens[at : at + len(phrase)], phrase, is_last=number == len(phrases))
    }
    return sorted(spans)


def _begins(tokens: Sequence[Token], phrase: Sequence[str], *, is_last: bool) -> bool:
    *before, last = (word for word, _, _ in tokens)
    return before == phrase[:-1] and (last.startswith(phrase[-1]) if is_last else last == phrase[-1])


def _tokens(text: str) -> Iterator[Token]:
    """What the index (`unicode61`, without diacritics) takes as the words of a text."""
    start: int | None = None
    for at, character in enumerate(f"{text}\0"):
        alone = stands_alone(character)
        is_part = not alone and (unicodedata.category(character)[0] in "LMN" or unicodedata.category(character) == "Co")
        if start is not None and not is_part:
            yield _folded(text[start:at]), start, at
            start = None
        if alone:
            yield character, at, at + 1
        elif is_part and start is None:
            start = at


def _folded(word: str) -> str:
    apart = unicodedata.normalize("NFD", word.lower())
    return "".join(character for character in apart if not unicodedata.combining(character))
