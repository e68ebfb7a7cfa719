"""Strings of JSON schemas, as parts of a grammar."""

from __future__ import annotations

from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import Chars, Node, choice, optional, repeat, sequence
from dlp_local.engine.constraints.pattern import pattern
from dlp_local.engine.constraints.text_rules import CHARACTER, DIGIT, HEX


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

FORMATS = {"date": _DATE, "time": _TIME, "date-time": sequence(_DATE, "T", _TIME), "uuid": _UUID}
"""Those that are kept to; others are remarks for a reader, as JSON schema has it. No 29th of February is a date here,
for which years have one is beyond a grammar."""


def content(schema: dict[str, Any]) -> Node:
    """What stands between the quotes of a string that follows a schema; raises `InputError` where nothing does."""
    ways = [key for key in ("pattern", "minLength", "maxLength", "format") if key in schema]
    if schema.get("format") not in FORMATS:
        ways = [key for key in ways if key != "format"]
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if not isinstance(least, int) or not isinstance(most, int | None):
        raise InputError("its length is no whole number")
    if set(ways) <= {"minLength", "maxLength"}:
        if most is not None and most < least:
            raise InputError("its maxLength is less than its minLength")
        return repeat(CHARACTER, max(least, 0), most)
    if len(ways) > 1:
        raise InputError(f"{' and '.join(ways)} at once, which a grammar cannot express")
    if ways == ["format"]:
        return FORMATS[schema["format"]]
    if not isinstance(schema["pattern"], str):
        raise InputError("its pattern is no text")
    return pattern(schema["pattern"])
