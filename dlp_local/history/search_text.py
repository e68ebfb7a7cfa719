"""A text as the search index takes it: one word is what stands between spaces, or one character or sign.

An index of words (FTS5, `unicode61`) knows a Chinese sentence as one word. So each character of a script that puts no
spaces between words is set apart before a text is indexed or looked up; a sequence of them is then a phrase, which
is found wherever it stands, one and two characters, too. SQLite's `trigram` tokenizer would need three characters, and
would find "art" in "start" where words are meant. Signs are set apart, too, so that `C++` is looked up as written.

Characters that differ by their form alone (NFKC: full and half width, ligatures), or by their case, are one.
"""

from __future__ import annotations

import unicodedata

APART, HIT_START, HIT_END = "\x1f", "\x02", "\x03"
"""What sets characters apart, and what stands around a hit in an excerpt; none of them is left in an indexed text."""

_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    *((0x0F00, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),  # Tibetan, Burmese
    # Hangul: its words carry their particles
    *((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xFFA0, 0xFFDC)),
    *((0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF), (0xAA80, 0xAADF)),  # Khmer, Tai scripts
    *((0x1B00, 0x1B7F), (0xA980, 0xA9DF)),  # Balinese, Javanese
    *((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x3035), (0x3038, 0x303C)),  # Han
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
    *((0x3041, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F)),  # kana, bopomofo
    (0xA000, 0xA4CF),  # Yi
)
"""The first and the last character of each block."""


def has_no_spaces(character: str) -> bool:
    """Whether it is of a script that puts no spaces between words."""
    return any(first <= ord(character) <= last for first, last in _WITHOUT_SPACES)


class _SetApart(dict[int, str | None]):
    """Code point → what stands for it in an indexed text; filled as characters are met."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        if has_no_spaces(character) or unicodedata.category(character)[0] in "PS":
            self[code] = f"{APART}{character}{APART}"
        else:
            folded = character.casefold()
            self[code] = folded if folded != character.lower() else character  # ß; of the others the index knows both
        return self[code]


_TAKEN_AWAY = dict.fromkeys(map(ord, (APART, HIT_START, HIT_END)))
_TABLE = _SetApart(_TAKEN_AWAY)


def words_of(text: str) -> list[str]:
    """What stands between the spaces of a text; a character that the index takes away parts no words."""
    return text.translate(_TAKEN_AWAY).replace("\0", " ").split()


def search_text(text: str) -> str:
    """A text of compatible characters (NFKC), with each sign and each one of a script without spaces set apart."""
    return unicodedata.normalize("NFKC", text).translate(_TABLE)
