"""Strings of JSON schemas, as parts of a grammar."""

from __future__ import annotations

from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.formats import FORMATS
from dlp_local.engine.constraints.grammar import Node, repeat
from dlp_local.engine.constraints.pattern import pattern
from dlp_local.engine.constraints.text_rules import CHARACTER


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
