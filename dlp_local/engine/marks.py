"""Where in a rendered prompt each message's text stands, and where it spells what is a control token elsewhere.

The contents are given to the chat template with marks in them, characters that no message holds: around each text,
within its outer white space so that trimming finds that; and within whatever the text spells of the template's own
tokens, so that it is not read as one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_PRIVATE_USE = range(0xE000, 0xF8FF)


@dataclass(frozen=True, slots=True)
class Marks:
    """Characters of the private use area that stand in none of some texts."""

    start: str
    end: str
    number_end: str
    split: str

    @classmethod
    def outside(cls, texts: Iterable[str]) -> Marks:
        """Marks that none of the texts holds."""
        taken = set("".join(texts))
        free = (chr(code) for code in _PRIVATE_USE if chr(code) not in taken)
        return cls(next(free), next(free), next(free), next(free))

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches any mark; group 1 is the number of a message that starts, group 2 of one that ends."""
        return re.compile(f"{self.start}(\\d+){self.number_end}|{self.end}(\\d+){self.number_end}|{self.split}")

    def around(self, number: int, text: str, *, both: bool = True, whole: bool = False) -> str:
        """The text with its marks: at its end alone unless `both`, outside of its outer white space where `whole`."""
        core = text if whole else text.strip()
        if not core.strip():
            return text
        before, _, after = text.partition(core)
        start = f"{self.start}{number}{self.number_end}" if both else ""
        return f"{before}{start}{core}{self.end}{number}{self.number_end}{after}"

    def within(self, text: str, spelled: Iterable[str]) -> str:
        """The text with a mark after the first character of each of these spellings."""
        names = sorted((name for name in spelled if len(name) > 1), key=len, reverse=True)
        if not names:
            return text
        pattern = "|".join(map(re.escape, names))
        return re.sub(pattern, lambda match: match[0][0] + self.split + match[0][1:], text)

    def without(self, text: str) -> str:
        """The text without any marks."""
        return self.pattern.sub("", text)

    def numbers(self, text: str) -> tuple[list[int], list[int]]:
        """The numbers of the messages that start and that end in a text, in order."""
        starts, ends = [], []
        for start, end in self.pattern.findall(text):
            if start:
                starts.append(int(start))
            elif end:
                ends.append(int(end))
        return starts, ends


def spellings(text: str, tokens_of: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """Every spelling in a text that has to be split, also those that come up once others are.

    `tokens_of`: the spellings that the tokenizer sees in a text.
    """
    seen: frozenset[str] = frozenset()
    pieces = [text]
    while new := {name for piece in pieces for name in tokens_of(piece) if len(name) > 1 and name in piece}:
        seen |= new
        marks = Marks.outside(pieces)
        pieces = [part for piece in pieces for part in marks.within(piece, new).split(marks.split)]
    return seen
