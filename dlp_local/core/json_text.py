"""JSON that a person, another program or a model wrote: refused in plain words, or compared."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dlp_local.core.errors import DlpLocalError, InputError

LONGEST_SHOWN = 40
"""Characters that are told of a number or a key."""


class _NotFiniteError(ValueError):
    """Python's reader of JSON takes numbers that JSON has not."""


class _RepeatedKeyError(ValueError):
    """An object says a key twice, of which Python's reader keeps the last without a word."""


def parse_json(
    text: str,
    name: str,
    otherwise: str,
    error: type[DlpLocalError] = InputError,
    *,
    only_finite: bool = True,
    unique_keys: bool = False,
) -> Any:
    """What a text says, called by `name`; raises `error` where it is no JSON, with what to do `otherwise`.

    `only_finite`: NaN, Infinity and 1e999 are refused, which no JSON can say again. Without that they may stand in what
    is passed over, of a file that another program wrote. `unique_keys`: an object that says a key twice is refused.
    """
    try:
        pairs = _object if unique_keys else None
        return _value(text, pairs) if only_finite else json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as problem:
        at = f"line {problem.lineno}, column {problem.colno}" if problem.lineno > 1 else f"column {problem.colno}"
        where = f"from {at} on" if text.strip() else "it is empty"
    except _NotFiniteError as problem:
        where = f"it holds {problem}, which is no finite number; write one, or null"
    except _RepeatedKeyError as problem:
        raise error(f"{name}: {problem} is there twice in one object. Leave one out.") from None
    except RecursionError:
        where = "it is nested too deeply"
    except ValueError:  # Python reads no whole number of more than 4300 digits
        where = "a number in it is too long"
    raise error(f"{name}: is not JSON ({where}). {otherwise}")


def json_value(text: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that a text is; None where it is none."""
    try:
        value = _value(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def is_same_json(answer: str, wanted: str) -> bool:
    """Whether two texts are the same JSON object or list.

    The order of keys does not count; 1 and 1.0 are one number, and true is none.
    """
    value = json_value(wanted)
    return value is not None and _is_same(json_value(answer), value)


def _is_same(one: Any, other: Any) -> bool:
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            pairs += [(value, other[key]) for key, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            pairs += zip(one, other, strict=True)
        elif isinstance(one, bool) is not isinstance(other, bool) or one != other:
            return False
    return True


def repeated_key(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """The first key that an object says twice, None where it says each once; of its keys and values in their order."""
    return next((key for key, count in Counter(key for key, _ in pairs).items() if count > 1), None)


def _value(text: str, pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None) -> Any:
    return json.loads(text, parse_constant=_refused, parse_float=_finite, object_pairs_hook=pairs)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := repeated_key(pairs)) is not None:
        raise _RepeatedKeyError(f"'{twice[:LONGEST_SHOWN]}'")
    return dict(pairs)


def _refused(number: str) -> NoReturn:
    raise _NotFiniteError(number if len(number) <= LONGEST_SHOWN else f"{number[:LONGEST_SHOWN]}…")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refused(number)
