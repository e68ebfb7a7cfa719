"""Formats of strings (JSON Schema 2020-12, section 7.3), as parts of a grammar.

Every text that a grammar lets through is of the format; of some formats it does not let everything through, but what is
usually written.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlp_local.engine.constraints.grammar import Chars, Node, choice, optional, repeat, sequence
from dlp_local.engine.constraints.text_rules import DIGIT, HEX


def _to(most: str) -> Node:
    """A digit up to another one."""
    return Chars(((0x30, ord(most)),))


_YEAR = repeat(DIGIT, 4, 4)
_MONTH = choice([sequence("0", Chars(((0x31, 0x39),))), sequence("1", _to("2"))])
_DAY = choice([sequence("0", Chars(((0x31, 0x39),))), sequence("1", DIGIT), sequence("2", _to("8"))])
_HOUR = choice([sequence(_to("1"), DIGIT), sequence("2", _to("3"))])
_MINUTE = sequence(_to("5"), DIGIT)
_ZONE = choice(["Z", sequence(choice(["+", "-"]), _HOUR, ":", _MINUTE)])
_DATE = choice(
    [
        sequence(_YEAR, "-", _MONTH, "-", _DAY),
        sequence(_YEAR, "-", choice(["01", "03", "05", "07", "08", "10", "12"]), "-", choice(["29", "30", "31"])),
        sequence(_YEAR, "-", choice(["04", "06", "09", "11"]), "-", choice(["29", "30"])),
    ]
)
_TIME = sequence(_HOUR, ":", _MINUTE, ":", _MINUTE, optional(".", repeat(DIGIT, 1, 9)), _ZONE)
_UUID = sequence(repeat(HEX, 8, 8), repeat(sequence("-", repeat(HEX, 4, 4)), 3, 3), "-", repeat(HEX, 12, 12))

_LETTERS = ((0x41, 0x5A), (0x61, 0x7A))
_LETTER_OR_DIGIT = Chars(((0x30, 0x39), *_LETTERS))
_DIGIT_FROM_1 = Chars(((0x31, 0x39),))


def _with(marks: str) -> Chars:
    """A letter, a digit or one of some marks."""
    return Chars(tuple(sorted(((0x30, 0x39), *_LETTERS, *((ord(mark), ord(mark)) for mark in marks)))))


_LABEL = sequence(_LETTER_OR_DIGIT, optional(repeat(_with("-"), 0, 30), _LETTER_OR_DIGIT))
_DOMAIN = sequence(_LABEL, repeat(sequence(".", _LABEL), 1, 5))
_LOCAL_PART = _with("!#$&'*+-/=?^_`{|}~")
_ADDRESS = sequence(repeat(_LOCAL_PART, 1, 20), repeat(sequence(".", repeat(_LOCAL_PART, 1, 20)), 0, 2), "@", _DOMAIN)
_BYTE = choice(
    [
        sequence("25", _to("5")),
        sequence("2", _to("4"), DIGIT),
        sequence("1", DIGIT, DIGIT),
        sequence(_DIGIT_FROM_1, DIGIT),
        DIGIT,
    ]
)
_IPV4 = sequence(_BYTE, repeat(sequence(".", _BYTE), 3, 3))
_GROUP = repeat(HEX, 1, 4)
_IPV6 = choice([sequence(_GROUP, repeat(sequence(":", _GROUP), 7, 7)), "::1", "::"])
_URI_CHARACTER = _with("-._~!$&'()*+,;=:@/")
_URI = sequence(
    choice(["https", "http", "ftp", "file"]),
    "://",
    _DOMAIN,
    optional(":", _DIGIT_FROM_1, repeat(DIGIT, 0, 3)),
    optional("/", repeat(_URI_CHARACTER, 0, None)),
    optional("?", repeat(_URI_CHARACTER, 0, None)),
    optional("#", repeat(_URI_CHARACTER, 0, None)),
)


def _some_of(units: str) -> list[Node]:
    """One count or more with these units, in their order."""
    counts = [sequence(repeat(DIGIT, 1, 6), unit) for unit in units]
    return [
        sequence(count, *(optional(following) for following in counts[number + 1 :]))
        for number, count in enumerate(counts)
    ]


_OF_DAY = sequence("T", choice(_some_of("HMS")))
_DURATION = sequence(
    "P", choice([sequence(repeat(DIGIT, 1, 6), "W"), _OF_DAY, sequence(choice(_some_of("YMD")), optional(_OF_DAY))])
)

FORMATS: Mapping[str, Node] = MappingProxyType(
    {
        "date": _DATE,
        "time": _TIME,
        "date-time": sequence(_DATE, "T", _TIME),
        "duration": _DURATION,
        "email": _ADDRESS,
        "hostname": _DOMAIN,
        "ipv4": _IPV4,
        "ipv6": _IPV6,
        "uri": _URI,
        "uuid": _UUID,
    }
)
"""Those that are kept to; others are remarks for a reader, as JSON Schema has it.

No 29th of February is a date here, for which years have one is beyond a grammar; an IPv6 address is not shortened.
"""
