"""What the form of an answer is to be, where not any text will do, and what else is to be told of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dlp_local.core.errors import InputError
from dlp_local.core.json_text import parse_json

FormatFeature = Literal["grammar", "json_schema", "logprobs", "logit_bias", "tools"]
"""What an engine may be able to do about the form of an answer."""

MOST_LOGPROBS = 20
MOST_BIASES = 1024
MOST_BIAS = 100.0
"""A bias of -100 bans a token, one of 100 leaves no other."""

MOST_TOOLS = 128
LONGEST_SOURCE = 1 << 17
"""Characters of a grammar, of a schema, and of all that describes a tool."""

_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_CHOICES = ("auto", "none", "required")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function of the client's that the model may ask to be called; `parameters` is a JSON schema, as text.

    Where a grammar makes the calls and cannot keep to the schema, a `strict` tool is refused; another takes any object.
    """

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False

    def __post_init__(self) -> None:
        if not _TOOL_NAME.fullmatch(self.name) or self.name in _CHOICES:
            raise InputError(
                f"tools: '{self.name[:128]}' cannot be a tool's name. Use up to 128 letters, digits and . _ : / - of "
                f"ASCII, and none of {', '.join(_CHOICES)}."
            )
        if len(self.description) + len(self.parameters) > LONGEST_SOURCE:
            raise InputError(f"tools: what describes '{self.name}' is too long. {LONGEST_SOURCE} characters are read.")
        schema = parse_json(self.parameters, f"tools: what '{self.name}' takes", "Send a JSON schema of an object.")
        if not isinstance(schema, dict):
            raise InputError(f"tools: what '{self.name}' takes is no object. Send a JSON schema of an object.")


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The form of an answer; as it is made without arguments, any text will do. Raises `InputError` for what cannot be.

    `grammar`: GBNF, whose rule `root` the answer follows. `json_schema`: a JSON schema, as text, of which the answer is
    an instance; at most one of the two. `logprobs`: each token's log probability is told, and those of so many of the
    most probable ones. `logit_bias`: token → what is added to its logit. `tools`: what may be called, with
    `tool_choice`: `auto` the model decides, `none` nothing, `required` at least one of them, or the name of the one
    that is called.
    """

    grammar: str = ""
    json_schema: str = ""
    logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise InputError(f"answer format: {problem}")

    def _problems(self) -> Iterator[str]:
        names = [tool.name for tool in self.tools]
        if self.grammar and self.json_schema:
            yield "a grammar and a JSON schema at once. Give one of the two."
        if max(len(self.grammar), len(self.json_schema)) > LONGEST_SOURCE:
            yield f"a grammar or a schema of more than {LONGEST_SOURCE} characters. Give a shorter one."
        if self.logprobs is not None and not 0 <= self.logprobs <= MOST_LOGPROBS:
            yield f"{self.logprobs} log probabilities a token. Ask for 0 to {MOST_LOGPROBS}."
        if len(self.logit_bias) > MOST_BIASES:
            yield f"{len(self.logit_bias)} biases. Give {MOST_BIASES} at most."
        for token, bias in self.logit_bias:
            if token < 0 or not math.isfinite(bias) or abs(bias) > MOST_BIAS:
                yield f"a bias of {bias} for token {token}. Give -{MOST_BIAS:g} to {MOST_BIAS:g}, by token."
        if len(names) > MOST_TOOLS:
            yield f"{len(names)} tools. Give {MOST_TOOLS} at most."
        if twice := next((name for name in names if names.count(name) > 1), ""):
            yield f"two tools called '{twice}'. Give each a name of its own."
        if self.tool_choice not in (*(("auto", "none") if not names else _CHOICES), *names):
            known = ", ".join((*_CHOICES, *names)) if names else "auto or none, for there are no tools"
            yield f"no tool '{self.tool_choice[:128]}' to choose. Choose one of {known}."
        if self.grammar and self.offered_tools:
            yield "a grammar and tools at once. Leave out the grammar, or set the tool choice to none."

    @property
    def offered_tools(self) -> tuple[Tool, ...]:
        """The tools that may be called: none, the chosen one or all."""
        if self.tool_choice == "none":
            return ()
        return tuple(tool for tool in self.tools if self.tool_choice in (tool.name, "auto", "required"))

    @property
    def needs(self) -> tuple[FormatFeature, ...]:
        """What an engine must be able to do for it."""
        wanted: dict[FormatFeature, bool] = {
            "grammar": bool(self.grammar),
            "json_schema": bool(self.json_schema),
            "logprobs": self.logprobs is not None,
            "logit_bias": bool(self.logit_bias),
            "tools": bool(self.offered_tools),
        }
        return tuple(feature for feature, is_wanted in wanted.items() if is_wanted)

    @property
    def is_of_one_answer(self) -> bool:
        """Whether it holds for one answer as a whole, which is then not given in parts."""
        return any(feature != "logit_bias" for feature in self.needs)


ANY_TEXT = AnswerFormat()
