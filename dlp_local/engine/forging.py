"""Contents that spell the names of tokens: they are cut, so that a tokenizer does not read them as such."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from dlp_local.engine.traced_text import TracedText

_PRIVATE_USE = range(0xE000, 0xF8FF)

NamesIn = Callable[[str], Iterable[str]]
"""The names of tokens that a tokenizer sees in a text."""


def cut_names(text: str, names_in: NamesIn) -> list[str]:
    """A text in pieces in which no name is seen, also none that comes up once others are cut."""
    return [text[start:end] for start, end in pairwise([0, *_cuts(text, names_in), len(text)])]


def _cuts(text: str, names_in: NamesIn) -> list[int]:
    """After the first character of each name."""
    names = sorted({name for name in names_in(text) if len(name) > 1 and name in text}, key=len, reverse=True)
    if not names:
        return []
    cuts = [match.start() + 1 for match in re.finditer("|".join(map(re.escape, names)), text)]
    within = [start + cut for start, end in pairwise([0, *cuts, len(text)]) for cut in _cuts(text[start:end], names_in)]
    return sorted({*cuts, *within})


def hidden(contents: Sequence[TracedText], names_in: NamesIn) -> tuple[list[TracedText], str]:
    """The contents with a character where their names are cut, and that character, which none of them holds."""
    taken = set("".join(contents))
    mark = next(chr(code) for code in _PRIVATE_USE if chr(code) not in taken)
    return [_joined(content, mark, names_in) for content in contents], mark


def _joined(content: TracedText, mark: str, names_in: NamesIn) -> TracedText:
    edges = [0, *_cuts(content, names_in), len(content)]
    return TracedText(mark).join(content[start:end] for start, end in pairwise(edges))
