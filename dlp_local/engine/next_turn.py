"""The next turn, which a model that ends its turns by no token writes after its answer, however it spells it.

It is a line that begins with somebody's name and a colon, whatever marks or counts the name: `User:`, `**User:**`,
`### Human:`, `[User]:`, `Q:`, `User 2:`; as an item of a list or indented, `- User:`, the name has a capital, and it is
not the answer's own list; a heading that is a name; or a line that begins with a tag: `<|user|>`, `[INST]`. White space
before it is no part of the answer. Within a fenced block of code there is none.
"""

from __future__ import annotations

import re

from dlp_local.engine.text import StreamUntil

_NAMES = ("user", "human", "system", "assistant", "question", "instruction")
"""In any case."""

_COUNTED = ("user", "human", "assistant")
"""With a number, too; questions are counted in other texts."""

_CAPITALIZED = ("You", "YOU", "Q")
"""Not in lower case, where they begin lines of other texts."""

_LISTED = tuple(spelling for name in _NAMES for spelling in (name.capitalize(), name.upper()))
"""In a list or indented: in lower case they are keys of YAML there."""

_TAGS = ("[user]", "[human]", "[system]", "[assistant]", "[inst]", "[/inst]", "<start_of_turn>", "<end_of_turn>")
_BEFORE = r"(?:#{1,6} ?|[*_]{1,3}|\[|\(|<\|?)?"
_LIST = r"(?:\t|[ \t]{2,8}|[ \t]{0,8}[-*+•>] {1,3})"
_AFTER = r"[*_\])|>]{0,4} ?"
_COUNT = r" ?[#(]{0,2}\d{1,3}"


def _any(words: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, words))


def _beginnings(words: tuple[str, ...]) -> str:
    """Matches the words and what begins them, the longest first."""
    parts = {word[:length] for word in words for length in range(1, len(word) + 1)}
    return _any(tuple(sorted(parts, key=len, reverse=True)))


_NAME = f"(?:(?i:{_any(_COUNTED)})(?:{_COUNT})?|(?i:{_any(_NAMES)})|{_any(_CAPITALIZED)})"
_NAME_BEGUN = f"(?:(?i:{_beginnings(_NAMES)})|{_beginnings(_CAPITALIZED)})"
_IN_LIST, _IN_LIST_BEGUN = f"(?:{_any(_LISTED)})(?:{_COUNT})?", f"(?:{_beginnings(_LISTED)})"
_COUNT_BEGUN = rf"(?:(?i:{_any(_COUNTED)})|{_any(_LISTED)}) ?[#(]{{0,2}}\d{{0,3}}"
_HEADING = r"#{1,6} ?(?i:user|human|assistant) ?"
_LINE = re.compile(
    rf"\s*\n(?: ?(?:{_BEFORE}{_NAME}{_AFTER}[:：]|{_HEADING}\n|<\|\w{{1,24}}\|>|(?i:{_any(_TAGS)}))"
    rf"|(?P<item>{_LIST}{_BEFORE}{_IN_LIST}{_AFTER}[:：]))"
)
_LINE_BEGUN = re.compile(
    r"(?:\s+|"
    rf"\s*\n ?(?:{_BEFORE}(?:{_NAME_BEGUN}?|{_NAME}{_AFTER}|{_COUNT_BEGUN})|<\|\w{{0,24}}\|?"
    rf"|(?i:{_beginnings(_TAGS)}))"
    rf"|\s*\n(?:[ \t]{{0,8}}[-*+•>]|{_LIST}{_BEFORE}(?:{_IN_LIST_BEGUN}?|{_IN_LIST}{_AFTER}|{_COUNT_BEGUN})))\Z"
)
_ITEM_BEFORE = re.compile(r"\s*(?:[-*+•>]|\d{1,3}[.)])\s|.*:\s*\Z")
"""A line after which a list goes on, or begins."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)


class NextTurn(StreamUntil):
    """Ends a stream at somebody's next turn."""

    def __init__(self) -> None:
        super().__init__()
        self._fence = ""
        self._line = ""
        """The beginning of a line that was passed on, before which `_fence` was open."""

    def feed(self, text: str) -> str:
        """See `StreamUntil`; takes note of the fences in what is passed on."""
        passed = super().feed(text)
        lines, end, self._line = (self._line + passed).rpartition("\n")
        self._fence = _open_fence(lines + end, self._fence)
        return passed

    def _end(self, text: str) -> int | None:
        return next((line.start() for line in _LINE.finditer(text) if self._is_turn(line)), None)

    def _is_turn(self, line: re.Match[str]) -> bool:
        before = self._line + line.string[: line.start()]
        is_own_item = line["item"] and _ITEM_BEFORE.match(before.rpartition("\n")[2])
        return not (is_own_item or _open_fence(before, self._fence))

    def _begun(self, text: str) -> int:
        begun = _LINE_BEGUN.search(text)
        return begun.start() if begun else len(text)


def _open_fence(text: str, fence: str) -> str:
    """The fence of the block of code that is open after a text, before which `fence` was; nothing outside of code."""
    for line in _FENCE.finditer(text):
        if not fence:
            fence = line[1]
        elif line[1].startswith(fence):
            fence = ""
    return fence
