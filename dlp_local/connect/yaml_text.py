"""YAML, changed so that comments, order and quotes stay."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from dlp_local.connect.merging import same_item

WIDEST = 1 << 20
"""Characters of a line: none is broken."""


def parse(text: str) -> Any:
    """The plain value of a text; raises `ValueError` where it is no YAML, or several documents."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"line {mark.line + 1} is no YAML" if mark else "it is no YAML") from None


def changed(text: str, change: Any) -> str:
    """A text whose value is `merged(its value, change)`; raises `ValueError` where it is no YAML."""
    if parse(text) is None:  # comments alone, to which the library holds no value
        return f"{text.rstrip()}\n{dumped(change)}" if text.strip() else dumped(change)
    try:
        value, indent, offset = load_yaml_guess_indent(text)
        yaml = _writer(text.startswith("---"))
        if indent is not None and offset is not None:
            yaml.indent(mapping=2, sequence=max(indent, offset + 2), offset=offset)
        value = yaml.load(text)
    except (YAMLError, ValueError) as error:
        raise ValueError(f"it is no YAML ({error.__class__.__name__})") from None
    return _dump(yaml, _merge(value, change))


def dumped(value: Any) -> str:
    """A value as a new text."""
    return _dump(_writer(False), value)


def _writer(explicit_start: bool) -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = WIDEST
    yaml.explicit_start = explicit_start
    return yaml


def _dump(yaml: YAML, value: Any) -> str:
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def _merge(before: Any, change: Any) -> Any:
    """`merging.merged`, in the library's own tables and lists, which hold the comments."""
    if isinstance(before, Mapping) and isinstance(change, Mapping):
        for key, value in change.items():
            before[key] = _merge(before.get(key), value)  # type: ignore[index]
        return before
    if isinstance(before, list) and isinstance(change, list):
        for item in change:
            index = same_item(before, item)
            if index is None:
                before.append(item)
            else:
                before[index] = _merge(before[index], item)
        return before
    return before if before == change and type(before) is not bool else change
