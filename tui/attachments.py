"""`@path` in a message: the text of a file goes along with it."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import decode
from dlp_local.core.paths import user_path
from dlp_local.core.text import size_text
from dlp_local.core.user_message import MENTION, PUNCTUATION, Attachment, UserMessage, is_quoted, mentioned_paths

_SUFFIXES = mimetypes.MimeTypes(filenames=())
"""What Python itself knows, not the machine: the same everywhere."""

_ATTRIBUTE = re.compile(r"[\w:.-]+=")
"""What markup and code write behind an @: `@click="a/b"`."""

CHARACTERS_PER_TOKEN = 3
"""A careful guess: English text has four, code about three."""


def mentioned(text: str) -> list[Path]:
    """The files and folders that a text names with `@`: those there are, and what can only be meant as a path."""
    paths = [_path(mention) for mention in MENTION.finditer(text)]
    return [path for path in dict.fromkeys(paths) if path is not None]


def _path(mention: re.Match[str]) -> Path | None:
    """The path of a mention; None for `@alice`, and for an attribute or one in quotation marks that is not there."""
    names = mentioned_paths(mention)
    for name in names:
        path = user_path(name)
        try:
            if path.exists():
                return path
        except (OSError, ValueError):
            return None
    if not names or is_quoted(mention) or (mention[2] and _ATTRIBUTE.match(mention[2])):
        return None
    name = mention[1] or mention[2].rstrip(PUNCTUATION)
    is_path = bool(mention[1]) or "/" in name or "\\" in name or name.startswith(("~", "."))
    return user_path(name) if is_path or _SUFFIXES.guess_type(name)[0] else None


def sizes(text: str) -> str:
    """`notes.txt 1.2 kB`, for each file that a text names."""
    parts = []
    for path in mentioned(text):
        try:
            if path.is_file():
                parts.append(f"{path.name} {size_text(path.stat().st_size)}")
            else:
                parts.append(f"{path}: is a folder" if path.is_dir() else f"{path}: no file")
        except OSError:
            parts.append(f"{path}: cannot be read")
    return " · ".join(parts)


def attach(text: str, context_size: int) -> str:
    """The message with the contents of the files that it names; raises `InputError` where they cannot go along.

    At most three quarters of the context are for them; a context of 0 tokens is not known yet.
    """
    room = context_size * 3 // 4 * CHARACTERS_PER_TOKEN
    attachments = []
    for path in mentioned(text):
        contents = _contents(path, room if context_size else None)
        room -= len(contents.encode())
        attachments.append(Attachment(contents, path.name))
    return str(UserMessage(text, tuple(attachments)))


def _contents(path: Path, room: int | None) -> str:
    """A file's text, of at most `room` bytes."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder. Name a text file in it.")
        size = path.stat().st_size
        if room is not None and size > room:
            fits = size_text(max(0, room))
            raise InputError(f"{path}: has {size_text(size)}, and about {fits} fit. Name a part of it.")
        return decode(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: is not there. Correct the path, or leave out the @.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check its rights.") from None
