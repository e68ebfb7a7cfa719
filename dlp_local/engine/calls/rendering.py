"""Tools, calls and results as chat templates take them, their texts traced: a stranger wrote them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from dlp_local.core.answer_format import Tool
from dlp_local.core.values import Message, ToolCall
from dlp_local.engine.traced_text import TracedText

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


class TracedCalls:
    """Makes the records of tools and calls for one rendering; `texts` are those in them, numbered from `first` on."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.texts: list[str] = []

    def tools(self, tools: Sequence[Tool]) -> list[dict[str, Any]] | None:
        """What a template is given as `tools`; None without any."""
        return [self._function(self._described(tool)) for tool in tools] or None

    def _described(self, tool: Tool) -> dict[str, Any]:
        described = {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
        return {key: self._traced(value) for key, value in described.items()}

    def message(self, message: Message, names: dict[str, str]) -> dict[str, Any]:
        """What a template is given of a message beside its role and content; `names`: those of calls by their ids."""
        if message.role == "tool":
            name = names.get(message.tool_call_id, "")
            return {"name": self._traced(name), "tool_call_id": short_id(message.tool_call_id)}
        return {"tool_calls": [self._call(call) for call in message.tool_calls]} if message.tool_calls else {}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        called = {"name": self._traced(call.name), "arguments": self._traced(json.loads(call.arguments))}
        return {**self._function(called), "id": short_id(call.id)}

    def _function(self, function: dict[str, Any]) -> dict[str, Any]:
        return {"type": "function", "function": function}

    def _traced(self, value: Any) -> Any:
        """The same value, of which every text, keys included, knows that it is no text of the template's."""
        if isinstance(value, str):
            self.texts.append(value)
            return TracedText.of_message(self._first + len(self.texts) - 1, value)
        if isinstance(value, dict):
            return {self._traced(key): self._traced(item) for key, item in value.items()}
        return [self._traced(item) for item in value] if isinstance(value, list) else value


def short_id(number: str) -> str:
    """A call's id in the form that the strictest template (Mistral's) takes: nine letters and digits."""
    return number if _SHORT_ID.fullmatch(number) else hashlib.sha256(number.encode("utf-8", "replace")).hexdigest()[:9]


def left_out(texts: Sequence[str], rendered: str) -> Iterator[str]:
    """The texts of tools and calls that a template leaves out: as they are, or as JSON writes them."""
    for text in texts:
        forms = {text, text.strip(), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        if not any(form in rendered for form in forms):
            yield text
