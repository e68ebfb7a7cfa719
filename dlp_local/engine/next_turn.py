"""The next turn, which a model that ends its turns by no token writes after its answer, however it spells it.

It is a line that begins with somebody's name and a colon, whatever marks the name: `User:`, `**User:**`, `### Human:`,
`[User]:`, `Q:`; a heading that is a name; or a line that begins with a tag: `<|user|>`, `[INST]`. White space before it
is no part of the answer.
"""

from __future__ import annotations

import re

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


class NextTurn:
    """Passes a stream on up to somebody's next turn; holds back no more than what may become the beginning of one."""

    def __init__(self) -> None:
        self._held = ""
        self.hit = False
        """Whether the next turn has come; nothing passes after it."""

    def feed(self, text: str) -> str:
        """Takes the next text and returns what is certain to stand before the next turn."""
        if self.hit:
            return ""
        self._held += text
        if line := _LINE.search(self._held):
            self.hit = True
            safe, self._held = self._held[: line.start()], ""
            return safe
        begun = _LINE_BEGUN.search(self._held)
        cut = begun.start() if begun else len(self._held)
        safe, self._held = self._held[:cut], self._held[cut:]
        return safe

    def rest(self) -> str:
        """What was held back when the stream ended without a next turn."""
        held, self._held = self._held, ""
        return held
