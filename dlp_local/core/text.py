"""Text as it may be shown: nothing that a model or a user wrote steers the terminal."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from dlp_local.core.errors import InputError

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

MOST_NEAR = 3
"""Names that are offered for a mistyped one."""


def fenced(text: str) -> str:
    """A text between Markdown fences that nothing in it can close."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text.rstrip()}\n{fence}"


def size_text(size: float) -> str:
    """Bytes for people: `999 B`, `1.2 kB`, `131 MB`, `1.12 GB`."""
    if size < 1000:
        return f"{size:.0f} B"
    unit, factor, digits = ("kB", 1e3, 1) if size < 1e6 else ("MB", 1e6, 1) if size < 1e9 else ("GB", 1e9, 2)
    return f"{size / factor:.{digits if size < 100 * factor else 0}f} {unit}"


def about_time(seconds: float) -> str:
    """A time that is estimated, for people: `about a minute`, `about 3 minutes`, `about 2 hours`."""
    number, unit = (seconds / 60, "minute") if seconds < 90 * 60 else (seconds / 3600, "hour")
    whole = max(round(number), 1)
    return f"about {'a' if unit == 'minute' else 'an'} {unit}" if whole == 1 else f"about {whole} {unit}s"


def time_text(seconds: float) -> str:
    """A time for people: `45 s`, `2.5 min`."""
    return f"{seconds:.0f} s" if seconds <= 90 else f"{seconds / 60:.1f} min"


def visible(text: str) -> str:
    """`text` with nothing in it that a terminal would obey: escapes and their like become a visible sign.

    Line ends become newlines; tabs stay; marks that reorder text (bidirectional overrides) and halves of surrogate
    pairs, which cannot be printed, become U+FFFD.
    """
    return _HIDDEN.sub(_sign, text.replace("\r\n", "\n"))


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def is_unicode(text: str) -> bool:
    """Whether a text is whole characters, and can be written as UTF-8: no half of a surrogate pair is in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def counted(number: int, thing: str) -> str:
    """`1 turn`, `2 turns`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'sql'?`, a sentence that begins with a space, for a mistyped name; empty where none is near.

    First come those of which one is the beginning of the other. A name is near where it, or its part before the first
    hyphen, is spelled alike; where none is, those that the word is a part of.
    """
    word, names = word.lower(), {name.lower(): name for name in known}
    firsts = {name.partition("-")[0]: name for name in names}
    close = [firsts.get(key, key) for key in difflib.get_close_matches(word, {**firsts, **names}, n=MOST_NEAR)]
    within = [name for name in names if len(word) > 2 and word in name]
    begun = [
        name for name in names if min(len(word), len(name)) > 2 and (word.startswith(name) or name.startswith(word))
    ]
    begun.sort(key=lambda name: abs(len(name) - len(word)))
    near = [names[name] for name in dict.fromkeys(begun + (close or within))][:MOST_NEAR]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def ended(sentence: str) -> str:
    """A sentence with its full stop, unless it is a question."""
    return sentence if sentence.endswith("?") else f"{sentence}."


def unknown_name(thing: str, name: str, known: Iterable[str]) -> str:
    """`there is no persona 'ters'. Did you mean 'terse'? There are: terse, wordy.`"""
    known = list(known)
    return f"there is no {thing} '{name}'.{did_you_mean(name, known)} There are: {', '.join(known) or 'none yet'}."


def switched_off(name: str) -> str:
    """What is said where an adapter is named that is switched off."""
    return f"'{name}' is switched off. Switch it on: dlp-local adapters enable {name}."


def check_message(text: str) -> None:
    """Raises `InputError` for a message that cannot be answered."""
    if not text.strip():
        raise InputError("the message is empty. Write something.")
    if not is_unicode(text):
        raise InputError("the message is not valid Unicode (it holds half a character). Convert it to UTF-8.")
