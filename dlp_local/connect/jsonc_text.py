"""JSON with comments and trailing commas, changed in place: what is not changed stays as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from dlp_local.connect.merging import merged, same_item

_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_LINE_REST = re.compile(r"[ \t]*(?://[^\n]*|/\*(?:(?!\*/)[^\n])*\*/[ \t]*(?=\n))?")
_SCALAR = re.compile(r"[^\s,:\[\]{}\"/]+")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')

MOST_DEPTH = 100
"""Tables and lists in each other."""


@dataclass(slots=True)
class Node:
    """A value, and where in the text it stands."""

    start: int
    end: int
    value: Any
    children: Union[dict[str, Node], list[Node], None] = None  # noqa: UP007
    last: int = field(default=0)
    """Where the last child ends, and the comma behind it where there is one."""

    has_comma: bool = False


def parse(text: str) -> Node:
    """The value of a text and of all its parts; raises `ValueError` that says where it is none."""
    node, at = _value(text, _skip(text, 0), 0)
    if (end := _skip(text, at)) != len(text):
        raise _wrong(text, end)
    return node


def changed(text: str, change: Any) -> str:
    """A text whose value is `merged(its value, change)`; raises `ValueError` where it is no JSON with comments."""
    root = parse(text)
    edits = _Edits(text)
    edits.merge(root, change)
    return edits.applied()


# ---- reading ----


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _wrong(text: str, at: int) -> ValueError:
    return ValueError(f"line {text.count(chr(10), 0, at) + 1} is no JSON")


def _value(text: str, at: int, depth: int) -> tuple[Node, int]:
    if depth > MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    first = text[at : at + 1]
    if first in ("{", "["):
        return _container(text, at, depth)
    match = (_STRING if first == '"' else _SCALAR).match(text, at)
    if not match:
        raise _wrong(text, at)
    try:
        return Node(at, match.end(), json.loads(match.group())), match.end()
    except ValueError:
        raise _wrong(text, at) from None


def _container(text: str, start: int, depth: int) -> tuple[Node, int]:
    is_table = text[start] == "{"
    end = "}" if is_table else "]"
    table: dict[str, Node] = {}
    items: list[Node] = []
    last, has_comma, at = start + 1, True, _skip(text, start + 1)
    while text[at : at + 1] != end:
        if not has_comma:
            raise _wrong(text, at)
        key = ""
        if is_table:
            name = _STRING.match(text, at)
            colon = _skip(text, name.end()) if name else at
            if not name or text[colon : colon + 1] != ":":
                raise _wrong(text, at)
            key, at = json.loads(name.group()), _skip(text, colon + 1)
        node, last = _value(text, at, depth + 1)
        if is_table:
            table[key] = node
        else:
            items.append(node)
        at = _skip(text, last)
        has_comma = text[at : at + 1] == ","
        if has_comma:
            last, at = at + 1, _skip(text, at + 1)
    children: dict[str, Node] | list[Node] = table if is_table else items
    value: Any = {k: n.value for k, n in table.items()} if is_table else [n.value for n in items]
    return Node(start, at + 1, value, children, last, has_comma), at + 1


# ---- changing ----


class _Edits:
    """Pieces of text that are put in the place of others, all at once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._edits: list[tuple[int, int, str]] = []
        found = re.search(r"\n([ \t]+)\S", text)
        self._unit = found.group(1) if found else "  "

    def merge(self, node: Node, change: Any) -> None:
        """Changes a value as `merging.merged` does."""
        if isinstance(node.children, dict) and isinstance(change, Mapping):
            new = {}
            for key, value in change.items():
                if key in node.children:
                    self.merge(node.children[key], value)
                else:
                    new[key] = value
            self._add(node, [f"{json.dumps(key)}: " for key in new], list(new.values()))
        elif isinstance(node.children, list) and isinstance(change, list):
            values, added = [child.value for child in node.children], list[Any]()
            for item in change:
                index = same_item([*values, *added], item)
                if index is None:
                    added.append(item)
                elif index < len(values):
                    self.merge(node.children[index], item)
                else:
                    added[index - len(values)] = merged(added[index - len(values)], item)
            self._add(node, [""] * len(added), added)
        elif node.value != change or type(node.value) is not type(change):
            self._edits.append((node.start, node.end, self._dump(change, self._indent(node.start))))

    def _add(self, node: Node, names: list[str], values: list[Any]) -> None:
        """Puts values behind the last one of a table or a list."""
        if not values:
            return
        if node.children and "\n" not in self._text[node.start : node.end]:
            written = [name + json.dumps(value, ensure_ascii=False) for name, value in zip(names, values, strict=True)]
            self._edits.append((node.last, node.last, ("" if node.has_comma else ",") + " " + ", ".join(written)))
            return
        outer = self._indent(node.start)
        inner = outer + self._unit
        lines = ",".join(
            f"\n{inner}{name}{self._dump(value, inner)}" for name, value in zip(names, values, strict=True)
        )
        at = self._line_end(node.last)
        if node.children and not node.has_comma:
            self._edits.append((node.last, node.last, ","))
        closes_line = "\n" not in self._text[at : node.end]
        self._edits.append((at, at, lines + (f"\n{outer}" if closes_line else "")))

    def _line_end(self, at: int) -> int:
        """Behind the comment that stands in the same line, if any."""
        match = _LINE_REST.match(self._text, at)
        end = match.end() if match else at
        return end if self._text[at:end].strip() else at

    def _indent(self, at: int) -> str:
        """What the line of a place begins with."""
        line = self._text[self._text.rfind("\n", 0, at) + 1 : at]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _dump(self, value: Any, indent: str) -> str:
        return json.dumps(value, indent=self._unit, ensure_ascii=False).replace("\n", f"\n{indent}")

    def applied(self) -> str:
        """The whole text with all edits in it."""
        text = self._text
        in_order = sorted(enumerate(self._edits), key=lambda item: (item[1][0], item[0]))
        for _, (start, end, new) in reversed(in_order):
            text = text[:start] + new + text[end:]
        return text
