"""Contents that spell the names of tokens: they are cut, so that a tokenizer does not read them as such."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from dlp_local.engine.traced_text import TracedText

_PRIVATE_USE = range(0xE000, 0xF8FF)
_FOREIGN = 1

NamesIn = Callable[[str], Iterable[str]]
"""The names of tokens that a tokenizer sees in a text."""


def foreign_cuts(text: str, foreign: bytes, names_in: NamesIn) -> list[int]:
    """Where a text is cut so that no name is seen in its pieces of which a character is foreign.

    `foreign` is 1 for each character of the text that is a message's, and 0 for the template's. The cuts stand after
    the first character of each such name, also of those that come up once others are cut.
    """
    cuts: set[int] = set()
    pieces = [(0, len(text))]
    while pieces:
        start, end = pieces.pop()
        if foreign.find(_FOREIGN, start, end) < 0:
            continue
        piece = text[start:end]
        places = {
            (start + match.start(), len(name))
            for name in set(names_in(piece))
            if len(name) > 1
            for match in re.finditer(f"(?={re.escape(name)})", piece)
        }
        new = sorted({place + 1 for place, length in places if foreign.find(_FOREIGN, place, place + length) >= 0})
        if new:
            cuts.update(new)
            pieces += pairwise([start, *new, end])
    return sorted(cuts)


def hidden(contents: Sequence[TracedText], names_in: Sequence[NamesIn]) -> tuple[list[TracedText], str]:
    """The contents with a character where their names are cut, and that character, which none of them holds.

    `names_in`: which names, for each of the contents.
    """
    taken = set("".join(contents))
    mark = next(chr(code) for code in _PRIVATE_USE if chr(code) not in taken)
    return [_joined(content, mark, names) for content, names in zip(contents, names_in, strict=True)], mark


def _joined(content: TracedText, mark: str, names_in: NamesIn) -> TracedText:
    cuts = foreign_cuts(str.__str__(content), bytes([_FOREIGN]) * len(content), names_in)
    return TracedText(mark).join(content[start:end] for start, end in pairwise([0, *cuts, len(content)]))
