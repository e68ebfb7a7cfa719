"""Files that are either whole or not there, and text files read with clear errors."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dlp_local.core.errors import DlpLocalError, InputError

MAX_TEXT = 256 << 20
"""Bytes of a text file that is read as a whole; a conversation of 50,000 turns has some 40 millions."""

MAX_LINE = 64 << 20
"""Bytes of one line of a file that is read line by line."""

_OPENED_BEFORE = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|\d+)/fd/\d+")
"""What the shell has opened and handed over: stdin, and `<(…)`."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""What files begin with that some editors write; the longer mark first."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where there is no room for what is written."""

SEEN = 4096
"""Bytes of a text that are looked at for its encoding."""

RENAME_PAUSES = (0.05, 0.1, 0.2, 0.3, 0.35)
"""Seconds between two tries to rename something on Windows."""

STEM = 40
"""Characters of a file's name that the name aside keeps: it must not become too long for the file system."""


@contextmanager
def written_aside(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yields a new, empty file beside `path` to write to; flushed to disk and renamed to `path` at the end.

    Its name is one that nobody else has, so that any number of writers may write one `path`; the last one stays. A cut,
    at any moment, leaves the old file or the new one. Where the writing raises, nothing is left of it. Without
    `replace` a file that is at `path` by then stays, and `FileExistsError` is raised.
    """
    part = _new_file_beside(path)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        if replace:
            rename(part, path)
        else:
            _rename_to_new(part, path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def is_there(path: Path) -> bool:
    """Whether a path names something; what cannot be looked for is not there."""
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises, for a name that is too long say)


def is_file(path: Path) -> bool:
    """Whether a path names a file; what cannot be looked for is none."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a path names a folder; what cannot be looked for is none."""
    return os.path.isdir(path)  # noqa: PTH112


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Makes a folder, and those that it is in; raises `OSError` whose `strerror` says what is in its way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        obstacle = next(path for path in (*reversed(folder.parents), folder) if not path.is_dir())
        if obstacle.is_symlink():
            reason = f"{obstacle} is a link to nothing"
        elif obstacle.exists():
            reason = f"{obstacle} is no folder"
        else:
            reason = f"no folder can be made in {obstacle.parent}"
        raise OSError(error.errno, reason, str(folder)) from None


def rename(source: Path, target: Path) -> None:
    """Gives a file or a folder another name, in place of a file that has it; raises `OSError`.

    Windows renames nothing that another program has open, and indexers and virus scanners open every new file for a
    moment: there it is tried for a second.
    """
    for pause in RENAME_PAUSES if sys.platform == "win32" else ():
        with suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(pause)
    os.replace(source, target)


def _new_file_beside(path: Path) -> Path:
    """Makes an empty file with the suffix of `path` and the rights of any new file."""
    while True:
        part = path.with_name(f"{path.stem[:STEM]}-{secrets.token_hex(4)}.part{path.suffix}")
        with suppress(FileExistsError):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return part


def _rename_to_new(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # a rename would take the place of a file that came meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        rename(part, path)


def inside_folder(value: str) -> str:
    """A relative path, unchanged; raises `ValueError` for one that could leave the folder it is relative to."""
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts or not value.isprintable() or set(value) & set("\\:"):
        raise ValueError("must be a file inside the folder")
    return value


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone at the end; raises `InputError` where the system has no place for one."""
    try:
        made = tempfile.TemporaryDirectory(prefix="dlp-local-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"no temporary folder can be made ({reason}). Free some room, or set TMPDIR.") from None
    with made as folder:
        yield Path(folder)


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk, so that no power cut takes a rename back, where that can be done."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def decode(raw: bytes, name: str) -> str:
    """The text of bytes that a person handed over: UTF-8, or UTF-16 or UTF-32 that show themselves (`_encoding`).

    CRLF becomes a newline. Raises `InputError` that names the source, and the first bad byte.
    """
    try:
        text = utf8(raw, name).decode("utf-8")
    except UnicodeDecodeError as error:
        other = "; it may be UTF-16" if b"\0" in raw else ""
        reason = f"is not UTF-8 (byte {error.start + 1}{other})"
        raise InputError(f"{name}: {reason}. Save it as UTF-8, or convert it.") from None
    return text.replace("\r\n", "\n")


def _encoding(raw: bytes) -> tuple[bytes, str]:
    """The mark at the beginning of a text of UTF-16 or UTF-32, and which it is; two times nothing for any other text.

    Some programs write UTF-16 without a mark. Where it is Latin for the most part, every second byte is zero, and no
    other one: so no text looks that is UTF-8.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return mark, encoding
    first, second = raw[:SEEN:2], raw[1:SEEN:2]
    for zeros, others, encoding in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        if zeros and others and zeros.count(0) * 2 > len(zeros) and not others.count(0):
            return b"", encoding
    return b"", ""


def utf8(raw: bytes, name: str) -> bytes:
    """Bytes of a text without the mark at their beginning (BOM); UTF-16 and UTF-32 become UTF-8.

    Raises `InputError` where what begins like those is no text.
    """
    mark, encoding = _encoding(raw)
    if not encoding:
        return raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw[len(mark) :].decode(encoding).encode("utf-8")
    except UnicodeError:
        raise InputError(f"{name}: is no text, though it begins like {encoding}. Save it as UTF-8.") from None


def utf8_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of an open file, as they come; those of UTF-16 and UTF-32 become UTF-8.

    Raises `InputError` that calls it by `name`, where what begins like those is no text, and for a line without an end.
    """
    lines = _bounded_lines(file, name)
    first = next(lines, b"")
    mark, encoding = _encoding(first)
    if not encoding:
        yield first
        yield from lines
        return
    decoder, rest = codecs.getincrementaldecoder(encoding)(), ""
    try:
        for part in chain([first[len(mark) :]], lines):
            *whole, rest = (rest + decoder.decode(part)).split("\n")
            yield from (line.encode("utf-8") for line in whole)
        yield (rest + decoder.decode(b"", final=True)).encode("utf-8")
    except UnicodeError:
        raise InputError(f"{name}: is no text, though it begins like {encoding}. Save it as UTF-8.") from None


def _bounded_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise InputError(f"{name}: has a line of more than {MAX_LINE >> 20} MiB. Name a file of shorter ones.")
        yield line


def read_text(path: Path) -> str:
    """The text of a file, as `decode` reads it; raises `InputError` where it cannot be read, or is too large."""
    return decode(read_bytes(path, MAX_TEXT, "Name another file."), str(path))


def read_bytes(path: Path, most: int, otherwise: str, error: type[DlpLocalError] = InputError) -> bytes:
    """All of a user's file, or of what the shell has opened, never more than `most` bytes of one without an end.

    Raises `error` where it cannot be read, and where it is larger, with what to do `otherwise`.
    """
    try:
        with path.open("rb") if _OPENED_BEFORE.fullmatch(str(path)) else open_file(path) as file:
            raw = file.read(most + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}). Check the path.") from None
    if len(raw) > most:
        raise error(f"{path}: is larger than {most >> 20} MiB. {otherwise}")
    return raw


def open_file(path: Path) -> BinaryIO:
    """A file, open to be read; raises `OSError`, also for a pipe and a device: they may never begin, or never end."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))
    return path.open("rb")


def write_new(path: Path, text: str) -> None:
    """Writes a text file that must not be there yet; raises `InputError` where it is, or cannot be written."""
    try:
        with written_aside(path, replace=False) as part:
            part.write_text(text, "utf-8")
    except FileExistsError:
        raise InputError(f"{path}: is there already. Name another file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}). Name another place.") from None
