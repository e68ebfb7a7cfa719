"""`@path` in a message: the text of a file goes along with it."""

from __future__ import annotations

import re
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import decode
from dlp_local.core.paths import user_path
from dlp_local.core.text import fenced, size_text

_MENTION = re.compile(r'(?<!\S)@(?:"([^"]+)"|(\S+))')
CHARACTERS_PER_TOKEN = 3
"""A careful guess: English text has four, code about three."""


def mentioned(text: str) -> list[Path]:
    """The files that a text names with `@`, as far as they exist."""
    paths = [user_path(quoted or bare) for quoted, bare in _MENTION.findall(text)]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def sizes(text: str) -> str:
    """`notes.txt 1.2 kB`, for each file that a text names."""
    return " · ".join(f"{path.name} {size_text(path.stat().st_size)}" for path in mentioned(text))


def attach(text: str, context_size: int) -> str:
    """The message with the contents of the files that it names; raises `InputError` where they cannot go along.

    At most three quarters of the context are for them.
    """
    room = context_size * 3 // 4 * CHARACTERS_PER_TOKEN
    parts = [text]
    for path in mentioned(text):
        try:
            size = path.stat().st_size
            if context_size and size > room:
                raise InputError(f"{path}: has {size_text(size)}, and about {size_text(room)} fit. Name a part of it.")
            contents = decode(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}). Check its rights.") from None
        room -= size
        parts.append(f"{path.name}:\n{fenced(contents)}")
    return "\n\n".join(parts)
