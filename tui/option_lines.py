"""The options of a conversation as lines that one reads and writes, and what holds where a line is empty."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.fields import item_type
from dlp_local.core.option_defaults import OptionDefault
from dlp_local.core.values import Mix, spelled

FIRST = ("persona", "system")
FIELDS = {name: ChatOptions.model_fields[name] for name in dict.fromkeys((*FIRST, *ChatOptions.model_fields))}
"""Every option, in the order of the form."""

NOTHING_SET = {
    "seed": "another one each time",
    "max_tokens": "until the context is full",
    "scope": "as each adapter has it",
    "pinned": "none: the router chooses",
}
"""What an option that has no value means, where that is more than `none`."""


@dataclass(frozen=True, slots=True)
class ValuesInForce:
    """What the next message of a conversation is answered under: its own options over a persona's over the defaults."""

    options: ChatOptions
    defaults: Mapping[str, OptionDefault]
    """Of the pack; none before it is loaded."""

    persona: ChatOptions | None = None
    """What the persona of the options says, as it is stored."""

    def default(self, name: str) -> str:
        """What holds where the conversation sets nothing: `0, base 0.7`; base answers where no adapter fits."""
        if (default := self.defaults.get(name)) is None:
            return _text(name, None)
        adapters, base = _text(name, default.value), _text(name, default.base)
        mix = self.options.mix
        if mix is not None:
            return base if mix.is_mostly_base else adapters
        return adapters if adapters == base else f"{adapters}, base {base}"

    def source(self, name: str, line: str) -> str:
        """Where the value of a line comes from: this conversation, its persona, the settings, the pack or a default."""
        if line:
            return "persona" if self.persona and line == written(self.persona, name) else "here"
        return default.source if (default := self.defaults.get(name)) else ""

    def lines(self) -> list[str]:
        """`Temperature: 0, base 0.7 (default)`, for each option."""
        lines = []
        for name, field in FIELDS.items():
            line = written(self.options, name)
            source = self.source(name, line)
            lines.append(f"{field.title}: {line or self.default(name)}{f' ({source})' if source else ''}")
        return lines


def _text(name: str, value: Any) -> str:
    return _written(name, value) or NOTHING_SET.get(name, "none")


def written(options: ChatOptions, name: str) -> str:
    """An option as it stands in its line; nothing where it is not set."""
    return _written(name, getattr(options, name))


def _written(name: str, value: Any) -> str:
    if name == "pinned":
        return "" if value is None else spelled(value.items())
    if name == "vetoed":
        return ", ".join(value or ())
    if isinstance(value, tuple):
        return ", ".join(json.dumps(item, ensure_ascii=False) for item in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value).removesuffix(".0")


def parse(lines: Mapping[str, str]) -> ChatOptions:
    """Options from the lines of the form; raises `InputError` that names every line that cannot be used."""
    values: dict[str, Any] = {name: line.strip() for name, line in lines.items() if line.strip()}
    for name, line in values.items():
        if name == "pinned":
            values[name] = dict(Mix.parse(line).weights)
        elif name == "vetoed":
            values[name] = tuple(part.strip() for part in line.split(",") if part.strip())
        elif item_type(FIELDS[name]):
            values[name] = _texts(line)
    return ChatOptions.checked(values)


def _texts(line: str) -> tuple[Any, ...]:
    """Texts in quotation marks with commas between them, as JSON writes them, or one alone without the marks."""
    try:
        return tuple(json.loads(f"[{line}]"))
    except (ValueError, RecursionError):
        return (line,)
