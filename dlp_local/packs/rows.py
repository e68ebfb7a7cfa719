"""Rows of examples: a file of messages that an adapter is for."""

from __future__ import annotations

import json
from pathlib import Path

from dlp_local.errors import InputError

MAX_BYTES = 64 << 20


def read_rows(path: Path) -> tuple[str, ...]:
    """The texts of a `.jsonl` file with `{"text": …}` a line, or of any other file, one a line; blank lines are none.

    Raises `InputError` that names the file, the line and what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MiB. Give fewer examples.")
    texts = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: is not UTF-8. Convert the file first.") from None
        if text:
            texts.append(_text(text, f"{path}, line {number}") if path.suffix == ".jsonl" else text)
    if not texts:
        raise InputError(f"{path}: holds no examples. Write one a line.")
    return tuple(texts)


def _text(line: str, place: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: is not JSON ({error}). Write one object a line.") from None
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f'{place}: has no text. Write {{"text": "…"}}.')
    return text
