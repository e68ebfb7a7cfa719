"""Where the words of a search stand in a text, by the rules of the search index."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from dlp_local.history.search_text import APART, search_text

Token = tuple[str, int, int]
"""A word of a text as it is compared, where it starts and where it ends."""
Span = tuple[int, int]

_DIACRITICS = re.compile("[\u0300-\u036f]")
_VOICED = "\uff9e\uff9f"
"""Half-width marks of voiced kana; they are no combining characters, and compose like them."""

_indexed = functools.lru_cache(4096)(search_text)


def hits(text: str, words: str) -> list[Span]:
    """The (start, end) of each place where a word of a search stands, in order; the last one may be a beginning.

    A word of a search that is several in the index, `co-op` or a Chinese one, stands where these follow each other.
    """
    return sorted(set().union(*_spans_of_words(text, words)))


def finder(words: str) -> Callable[[str], list[Span]]:
    """Gives the hits in a text that holds every word of a search, and none in another one.

    Made for many short texts: most are told apart by a pattern for each word, as it may stand in a text as indexed.
    """
    indexed = [re.escape(_folded(search_text(word)).strip(APART)) for word in words.split()]
    patterns = [
        re.compile(rf"(?<!\w){word}" + (r"(?!\w)" if n < len(indexed) else "")) for n, word in enumerate(indexed, 1)
    ]

    def find(text: str) -> list[Span]:
        plain = _folded(search_text(text))
        if not all(pattern.search(plain) for pattern in patterns):
            return []
        spans = _spans_of_words(text, words)
        return sorted(set().union(*spans)) if all(spans) else []

    return find


def _folded(text: str) -> str:
    """A text without its case and its diacritics."""
    return unicodedata.normalize("NFC", _DIACRITICS.sub("", unicodedata.normalize("NFD", text.lower())))


def _spans_of_words(text: str, words: str) -> list[set[Span]]:
    """For each word of a search, where it stands."""
    tokens = list(_tokens(text))
    phrases = [[word for word, _, _ in _tokens(written)] for written in words.split()]
    return [
        {
            (tokens[at][1], tokens[at + len(phrase) - 1][2])
            for at in range(len(tokens) - len(phrase) + 1)
            if phrase and _begins(tokens[at : at + len(phrase)], phrase, is_last=number == len(phrases))
        }
        for number, phrase in enumerate(phrases, 1)
    ]


def _begins(tokens: Sequence[Token], phrase: Sequence[str], *, is_last: bool) -> bool:
    *before, last = (word for word, _, _ in tokens)
    return before == phrase[:-1] and (last.startswith(phrase[-1]) if is_last else last == phrase[-1])


def _tokens(text: str) -> Iterator[Token]:
    """What the index (`unicode61`, without diacritics) takes as the words of a text."""
    word, start, end = "", 0, 0
    for first, last in _clusters(text):
        for character in _indexed(text[first:last]):
            if _is_part(character):
                start, word, end = start if word else first, word + character, last
            elif word:
                yield _folded(word), start, end
                word = ""
    if word:
        yield _folded(word), start, end


def _is_part(character: str) -> bool:
    return (
        character.isalnum() or unicodedata.category(character) == "Co" or unicodedata.category(character)[0] in "LMNPS"
    )


def _clusters(text: str) -> Iterator[Span]:
    """Where each character stands with those that it may be composed with."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not _composes(text[at]):
            yield start, at
            start = at


def _composes(character: str) -> bool:
    """Whether it may become one with that before it: a mark, or the middle or the end of a Hangul syllable."""
    if character < "\u0300":
        return False
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff" or character in _VOICED
