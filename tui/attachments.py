"""`@path` in a message: the text of a file goes along with it."""

from __future__ import annotations

import mimetypes
import re
from contextlib import suppress
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import MAX_TEXT, decode, is_file, is_folder, is_there, open_file
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
    """The files and folders that a text names with `@`: those there are, and what can only be meant as a path.

    Raises `InputError` for one of these that can be no path.
    """
    paths = [_path(mention) for mention in MENTION.finditer(text)]
    return [path for path in dict.fromkeys(paths) if path is not None]


def _path(mention: re.Match[str]) -> Path | None:
    """The path of a mention; None for `@alice`, and for an attribute or one in quotation marks that is not there."""
    names = mentioned_paths(mention)
    for name in names:
        with suppress(InputError):
            if is_there(path := user_path(name)):
                return path
    if not names or is_quoted(mention) or (mention[2] and _ATTRIBUTE.match(mention[2])):
        return None
    name = names[0] if mention[1] else mention[2].rstrip(PUNCTUATION)
    is_path = bool(mention[1]) or "/" in name or "\\" in name or name.startswith(("~", "."))
    return user_path(name) if is_path or _SUFFIXES.guess_type(name)[0] else None


def sizes(text: str) -> str:
    """`notes.txt 1.2 kB`, for each file that a text names."""
    try:
        return " · ".join(map(_size, mentioned(text)))
    except InputError as error:
        return str(error)


def _size(path: Path) -> str:
    try:
        if is_file(path):
            return f"{path.name} {size_text(path.stat().st_size)}"
        return f"{path}: is a folder" if is_folder(path) else f"{path}: no file"
    except OSError:
        return f"{path}: cannot be read"


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
    """A file's text, of at most `room` bytes, however much it says it has."""
    if is_folder(path):
        raise InputError(f"{path}: is a folder. Name a text file in it.")
    room = MAX_TEXT if room is None else max(0, room)
    try:
        with open_file(path) as file:
            size, raw = path.stat().st_size, file.read(room + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: is not there. Correct the path, or leave out the @.") from None
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check its rights.") from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be read ({reason}). Correct the path, or leave out the @.") from None
    if len(raw) > room:
        has = size_text(size) if size > room else "more"
        raise InputError(f"{path}: has {has}, and about {size_text(room)} fit. Name a part of it.")
    return decode(raw, str(path))
