"""Files of example rows: the messages that an adapter is for, and labelled ones for several adapters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.files import read_bytes, utf8
from dlp_local.core.json_text import json_value, parse_json

MAX_BYTES = 64 << 20

JSONL = (".jsonl", ".ndjson", ".jsonlines")
"""The endings of files with a JSON object a line."""

_TABLES = (".json", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".toml", ".html")
"""The endings of text files whose lines are no messages."""


def is_jsonl(path: Path) -> bool:
    """Whether a file's rows are JSON objects, by its name."""
    return path.suffix.lower() in JSONL


def check_examples_of(name: str, path: Path) -> None:
    """Raises `InputError` where a file cannot be the messages of one adapter: by its rows, or by what it is."""
    if path.suffix.lower() in _TABLES:
        reason = f"is no file of messages by its ending ({path.suffix})"
        raise InputError(f'{path}: {reason}. Write one message a line, or {{"text": "…"}} a line in a .jsonl file.')
    for line, place in _lines(path):
        row = json_value(line)
        said: Mapping[str, Any] = row if isinstance(row, dict) else {}
        if not is_jsonl(path):
            if isinstance(said.get("text"), str):
                raise InputError(f"{place}: is JSON, and would be the message as it stands. Name the file .jsonl.")
            continue
        _jsonl_text(line, place)
        if (other := said.get("adapter")) not in (None, name):
            raise InputError(f"{place}: is a message of '{str(other)[:64]}'. Give those of {name} alone.")


def read_rows(path: Path) -> tuple[str, ...]:
    """The texts of a JSONL file with `{"text": …}` a line, or of any other file, one a line; blank lines are none.

    Raises `InputError` that names the file, the line and what is wrong with it.
    """
    read = _jsonl_text if is_jsonl(path) else _plain
    return tuple(read(line, place) for line, place in _lines(path))


def read_labelled_rows(path: Path) -> tuple[tuple[str, str], ...]:
    """The (text, adapter) rows of a `.jsonl` file with `{"text": …, "adapter": …}` a line; blank lines are none.

    Raises `InputError` that names the file, the line and what is wrong with it.
    """
    return tuple((_jsonl_text(line, place), _value(line, place, "adapter")) for line, place in _lines(path))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, with the words for where it is."""
    raw = read_bytes(path, MAX_BYTES, "Give fewer examples.")
    has_rows = False
    for number, line in enumerate(utf8(raw, str(path)).split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: is not UTF-8. Convert the file first.") from None
        if text:
            has_rows = True
            yield text, f"{path}, line {number}"
    if not has_rows:
        raise InputError(f"{path}: holds no examples. Write one a line.")


def _plain(line: str, _: str) -> str:
    return line


def _jsonl_text(line: str, place: str) -> str:
    return _value(line, place, "text")


def _value(line: str, place: str, key: str) -> str:
    row = parse_json(line, place, "Write one object a line.", only_finite=False)
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value.strip():
        others = ', "adapter": "…"' if key == "adapter" else ""
        raise InputError(f'{place}: has no {key}. Write {{"text": "…"{others}}}.')
    return value
