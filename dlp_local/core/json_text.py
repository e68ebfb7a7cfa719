"""JSON that a person, another program or a model wrote: refused in plain words, or compared."""

from __future__ import annotations

import json
from typing import Any

from dlp_local.core.errors import DlpLocalError, InputError


def parse_json(text: str, name: str, otherwise: str, error: type[DlpLocalError] = InputError) -> Any:
    """What a text says, called by `name`; raises `error` where it is no JSON, with what to do `otherwise`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        at = f"line {problem.lineno}, column {problem.colno}" if problem.lineno > 1 else f"column {problem.colno}"
        where = f"from {at} on" if text.strip() else "it is empty"
    except RecursionError:
        where = "it is nested too deeply"
    except ValueError:  # Python reads no whole number of more than 4300 digits
        where = "a number in it is too long"
    raise error(f"{name}: is not JSON ({where}). {otherwise}")


def json_value(text: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that a text is; None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def is_same_json(answer: str, wanted: str) -> bool:
    """Whether two texts are the same JSON object or list; the order of keys does not count."""
    value = json_value(wanted)
    return value is not None and json_value(answer) == value
