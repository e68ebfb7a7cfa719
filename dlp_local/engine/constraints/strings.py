"""Strings of JSON schemas, as parts of a grammar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.formats import FORMATS
from dlp_local.engine.constraints.grammar import Node, repeat
from dlp_local.engine.constraints.schema_document import whole_number
from dlp_local.engine.constraints.text_rules import CHARACTER


def content(schema: dict[str, Any], of_pattern: Callable[[str], Node]) -> Node:
    """What stands between the quotes of a string that follows a schema; raises `InputError` where nothing does."""
    form, least, most = schema.get("format", ""), whole_number(schema, "minLength"), whole_number(schema, "maxLength")
    if not isinstance(form, str):
        raise InputError("its format is no text")
    ways = [key for key in ("pattern", "minLength", "maxLength", "format") if key in schema]
    if form not in FORMATS:
        ways = [key for key in ways if key != "format"]
    if set(ways) <= {"minLength", "maxLength"}:
        if most is not None and most < (least or 0):
            raise InputError("its maxLength is less than its minLength")
        return repeat(CHARACTER, least or 0, most)
    if len(ways) > 1:
        raise InputError(f"{' and '.join(ways)} at once, which a grammar cannot express")
    if ways == ["format"]:
        return FORMATS[form]
    if not isinstance(schema["pattern"], str):
        raise InputError("its pattern is no text")
    return of_pattern(schema["pattern"])
