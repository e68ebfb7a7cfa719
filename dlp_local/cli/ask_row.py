"""A row of `ask --jsonl`: its message, and what it sets over the flags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.fields import expected, value_type
from dlp_local.core.files import decode
from dlp_local.core.json_text import parse_json
from dlp_local.core.settings import Sampling
from dlp_local.core.text import did_you_mean
from dlp_local.core.values import Mix

OPTIONS = ("system", "scope", "split", *Sampling.model_fields)
"""Fields that are options, each called as its flag, with _ for -."""

RETURNED = ("id", "adapter")
"""Fields that come back with the result: what a row is called, and, of rows that a router is judged by, whose it is."""

FIELDS = ("text", "mix", *RETURNED, *OPTIONS)

ROW_HELP = (
    '{"text": …} and, for this row alone, "mix", "system", "scope", "split" and each option of sampling, called as its '
    'flag, with _ for -. An "id" and an "adapter" come back with the result.'
)
"""What a row may say, for the help of the command."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message with the mix (none: it is routed) and the options that hold for it."""

    text: str
    mix: Mix | None
    options: ChatOptions


def read_fields(line: bytes, name: str) -> dict[str, Any]:
    """The fields of a row, called by `name`; raises `InputError` for what is no JSON object."""
    fields = parse_json(decode(line, name), name, "Write one object a line.", unique_keys=True)
    if not isinstance(fields, dict):
        raise InputError(f'{name}: is no object. Write {{"text": "…"}}.')
    return fields


def row_of(fields: Mapping[str, Any], mix: Mix | None, options: ChatOptions) -> Row:
    """The row of its fields, over the mix and the options that the flags give; null leaves a field to these.

    Raises `InputError` that names what cannot be used.
    """
    for name in fields:
        if name not in FIELDS:
            near = did_you_mean(name, FIELDS) or f" There are {', '.join(FIELDS)}."
            raise InputError(f"{name[:64]}: there is no field of that name.{near}")
    text = fields.get("text")
    if not isinstance(text, str):
        raise InputError('has no text. Write {"text": "…"}.')
    if (given := fields.get("mix")) is not None:
        mix = _mix(given)
    if mix and (both := [name for name, _ in mix.weights if name in options.vetoed]):
        raise InputError(f"mix: '{both[0]}' is vetoed by --veto. Leave one of them out.")
    own = {name: _of_its_type(name, fields[name]) for name in OPTIONS if fields.get(name) is not None}
    return Row(text, mix, ChatOptions.checked(own, options) if own else options)


def _of_its_type(name: str, given: Any) -> Any:
    """The value of an option; raises `InputError` where JSON has another type for it: `true` is no number, nor is "1".

    What flags and forms give is text, of which pydantic makes numbers.
    """
    field = ChatOptions.model_fields[name]
    kind = value_type(field)
    wrong: Any = (bool, str) if kind in (int, float) else ()
    if isinstance(given, wrong) or (kind is bool and not isinstance(given, bool)):
        raise InputError(f"options: {name}: {json.dumps(given)[:64]} cannot be used (give {expected(field)}).")
    return given


def _mix(given: Any) -> Mix:
    """A mix as a table of weights, or as the text that --mix takes."""
    if isinstance(given, str):
        return Mix.parse(given)
    try:
        if isinstance(given, dict) and not any(isinstance(weight, str | bool) for weight in given.values()):
            return Mix.by_hand({name: float(weight) for name, weight in given.items()})
    except (TypeError, OverflowError):
        pass
    raise InputError('mix: give {"sql": 0.7, "shell": 0.3}, or "sql=0.7,shell=0.3", or "base".')
