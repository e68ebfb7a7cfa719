"""The next turn, which a model that ends its turns by no token writes after its answer, however it spells it.

It is a line that begins with somebody's name and a colon, whatever marks the name: `User:`, `**User:**`, `### Human:`,
`[User]:`, `Q:`; a heading that is a name; or a line that begins with a tag: `<|user|>`, `[INST]`. White space before it
is no part of the answer.
"""

from __future__ import annotations

import re

from dlp_local.engine.text import StreamUntil

_NAMES = ("user", "human", "system", "assistant", "question", "instruction")
"""In any case."""

_CAPITALIZED = ("You", "YOU", "Q")
"""Not in lower case, where they begin lines of other texts."""

_TAGS = ("[user]", "[human]", "[system]", "[assistant]", "[inst]", "[/inst]", "<start_of_turn>", "<end_of_turn>")
_BEFORE = r"(?:#{1,6} ?|[*_]{1,3}|\[|\(|<\|?)?"
_AFTER = r"[*_\])|>]{0,4} ?"


def _any(words: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, words))


def _beginnings(words: tuple[str, ...]) -> str:
    """Matches the words and what begins them, the longest first."""
    parts = {word[:length] for word in words for length in range(1, len(word) + 1)}
    return _any(tuple(sorted(parts, key=len, reverse=True)))


_NAME = f"(?:(?i:{_any(_NAMES)})|{_any(_CAPITALIZED)})"
_NAME_BEGUN = f"(?:(?i:{_beginnings(_NAMES)})|{_beginnings(_CAPITALIZED)})"
_HEADING = r"#{1,6} ?(?i:user|human|assistant) ?"
_LINE = re.compile(rf"\s*\n ?(?:{_BEFORE}{_NAME}{_AFTER}[:：]|{_HEADING}\n|<\|\w{{1,24}}\|>|(?i:{_any(_TAGS)}))")
_LINE_BEGUN = re.compile(
    r"(?:\s+|"
    rf"\s*\n ?(?:{_BEFORE}{_NAME_BEGUN}?|{_BEFORE}{_NAME}{_AFTER}|<\|\w{{0,24}}\|?|(?i:{_beginnings(_TAGS)})))\Z"
)


class NextTurn(StreamUntil):
    """Ends a stream at somebody's next turn."""

    def _end(self, text: str) -> int | None:
        line = _LINE.search(text)
        return line.start() if line else None

    def _begun(self, text: str) -> int:
        begun = _LINE_BEGUN.search(text)
        return begun.start() if begun else len(text)
