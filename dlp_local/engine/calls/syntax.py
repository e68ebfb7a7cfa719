"""How one model writes a call: what its chat template makes of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlp_local.core.json_text import json_value

PROBE_NAME, PROBE_ARGUMENTS = "one_tool", {"one_argument": "one value"}
"""The call by which a template is asked how it writes one."""


@dataclass(frozen=True, slots=True)
class CallSyntax:
    """A call is a JSON object, with the tool's name and its arguments under two keys, between two texts.

    Where the object stands in a list, `opening` ends and `closing` begins with its bracket.
    """

    opening: str
    closing: str
    name_key: str = "name"
    arguments_key: str = "arguments"

    @property
    def is_list(self) -> bool:
        """Whether calls stand in a list."""
        return self.opening.rstrip().endswith("[") and self.closing.lstrip().startswith("]")

    @property
    def marker(self) -> str:
        """The text that says that a call comes; nothing where only the object does."""
        return (self.opening.rstrip().removesuffix("[") if self.is_list else self.opening).strip()

    @property
    def end(self) -> str:
        """The text that follows a call, or all of them; nothing where there is none."""
        return (self.closing.lstrip().removeprefix("]") if self.is_list else self.closing).strip()


PLAIN_SYNTAX = CallSyntax("<tool_call>\n", "\n</tool_call>")
"""Where a template knows no tools, or writes calls in a way that is not read: as Hermes and Qwen do."""


def syntax_in(text: str) -> CallSyntax | None:
    """The syntax in which the call of the probe stands in a text, which is all that is written of it; None for another.

    `text` ends before what ends every answer.
    """
    for start in (at for at, character in enumerate(text) if character == "{"):
        try:
            call, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        names = [key for key, value in call.items() if value == PROBE_NAME]
        arguments = [key for key, value in call.items() if value == PROBE_ARGUMENTS]
        if names and arguments:
            return CallSyntax(text[:start], text[end:], names[0], arguments[0])
    return None


def call_object(value: Any, syntax: CallSyntax = PLAIN_SYNTAX) -> tuple[str, str] | None:
    """The name and the arguments, as a JSON object's text, of what may be a call; None for what is none."""
    if not isinstance(value, Mapping):
        return None
    name = value.get(syntax.name_key, value.get("name"))
    keys = (syntax.arguments_key, "arguments", "parameters")
    arguments = next((value[key] for key in keys if key in value), None)
    if isinstance(arguments, str):  # some models write the object as a text
        arguments = json_value(arguments)
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, json.dumps(arguments, ensure_ascii=False)
