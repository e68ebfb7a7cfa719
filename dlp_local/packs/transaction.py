"""Changes of a pack: under a lock, files first and `pack.toml` last, each written aside, flushed and renamed.

A stored file has its hash in its name, so it never takes the place of another one that is in use. A change that is cut
off at any moment leaves the manifest as it was or as it is meant to be; files that it brought and the manifest does not
name are removed by the next change. What somebody took out of the manifest by hand stays: they may put it back.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import tomlkit
from tomlkit.items import InlineTable, Table

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import NO_ROOM, rename, sync_folder, written_aside
from dlp_local.core.paths import MANIFEST, OTHER_DATA, data_folder
from dlp_local.packs.clone import bring_file
from dlp_local.packs.locations import is_shipped
from dlp_local.packs.manifest import manifest_text, parse_manifest, read_manifest

FILES = "adapters"
"""The folder, inside a pack, of the files that changes store."""

LOCK = ".lock"
LOCK_WAIT = 60.0
"""Seconds that a change waits for another process's."""

_STORING = ".storing-"
_STORED = re.compile(rf"[a-z0-9][a-z0-9._-]*-[0-9a-f]{{12}}\.[a-z]+|{re.escape(_STORING)}[0-9a-f]{{16}}")
"""What stored files are called, and what those are called that are not complete yet."""

_HALF_A_MANIFEST = re.compile(r"pack-[0-9a-f]{8}\.part\.toml")
"""What `written_aside` calls a `pack.toml` that is not complete yet."""

Accept = Callable[[], None]
"""Takes a change of a pack over, into a running engine say; where it raises, the change is undone."""


@contextlib.contextmanager
def edited_manifest(folder: Path, accept: Accept | None = None) -> Iterator[tomlkit.TOMLDocument]:
    """The `pack.toml` of a pack, to be changed; it is checked and written at the end, with its comments.

    Where the body raises, the result would be no manifest, or `accept`, called once it is written, raises, the pack
    stays as it was. Raises `InputError` for a pack of the program, and `PackError` where the disk is full, the folder
    cannot be written to, or another process does not end its own change.
    """
    check_changeable(folder)
    with disk_errors_told(folder), locked(folder):
        named = _named(folder)
        _clean_cut_off(folder, named)
        present = {path.name for path in _stored(folder)}
        try:
            document = tomlkit.parse(manifest_text(folder))
            before = (folder / MANIFEST).read_bytes()
            yield document
            write_manifest(folder, document)
            if accept:
                _accept_or_undo(folder, accept, before)
        finally:
            still_named = _named(folder)
            unnamed = (path for path in _stored(folder) if path.name not in still_named)
            _remove(path for path in unnamed if path.name in named or path.name not in present)


def _accept_or_undo(folder: Path, accept: Accept, before: bytes) -> None:
    try:
        accept()
    except BaseException:
        with written_aside(folder / MANIFEST) as part:
            part.write_bytes(before)
        raise


def check_changeable(folder: Path) -> None:
    """Raises `InputError` for a pack that comes with the program."""
    if is_shipped(folder):
        raise InputError(
            f"the {folder.name} pack is never changed. Make one of your own: "
            f"dlp-local pack create mine --from {folder.name} && dlp-local pack use mine"
        )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder; raises `PackError` where another process does not let it go."""
    try:
        with filelock.FileLock(folder / LOCK, timeout=LOCK_WAIT):
            yield
    except filelock.Timeout:
        raise PackError(f"{folder}: another process is changing it. Wait for it and do this again.") from None


@contextlib.contextmanager
def disk_errors_told(folder: Path) -> Iterator[None]:
    """Raises an `OSError` of its body as a `PackError` with the reason and what helps."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in NO_ROOM:
            raise PackError(f"{folder}: is as it was, for the disk is full ({reason}). Free some room first.") from None
        otherwise = OTHER_DATA if folder.is_relative_to(data_folder()) else "copy the pack"
        if error.errno == errno.EFBIG:
            limit = "the file system, or a limit (ulimit -f), takes no file as large"
            raise PackError(f"{folder}: is as it was, for {limit}. Raise that limit, or {otherwise}.") from None
        raise PackError(f"{folder}: cannot be changed ({reason}). Check its rights, or {otherwise}.") from None


def write_manifest(folder: Path, document: tomlkit.TOMLDocument) -> None:
    """Writes a checked `pack.toml`; raises `PackError` for what is no manifest."""
    text = tomlkit.dumps(document).rstrip("\n") + "\n"
    parse_manifest(text, folder / MANIFEST)
    with written_aside(folder / MANIFEST) as part:
        part.write_text(text, "utf-8")


def store_file(folder: Path, source: Path, stem: str, suffix: str) -> dict[str, Any]:
    """Stores a file in a pack that is being changed; returns its `file`, `sha256` and `size` for the manifest.

    It is on the disk, under its last name, when this returns.
    """
    part = files_folder(folder) / f"{_STORING}{secrets.token_hex(8)}"
    try:
        content = bring_file(source, part)
        name = stored_name(stem, content.sha256, suffix)
        rename(part, folder / name)
        sync_folder(part.parent)
    finally:
        part.unlink(missing_ok=True)
    return {"file": name, "sha256": content.sha256, "size": content.size}


def stored_name(stem: str, sha256: str, suffix: str) -> str:
    """The path of a stored file inside its pack: its hash makes it another one for other contents."""
    return f"{FILES}/{stem}-{sha256[:12]}.{suffix}"


def files_folder(folder: Path) -> Path:
    """The folder that stored files are in; raises `PackError` where that is a link to outside of the pack."""
    files = folder / FILES
    files.mkdir(exist_ok=True)
    if not Path(os.path.realpath(files)).is_relative_to(os.path.realpath(folder)):
        raise PackError(f"{files}: is a link to a place outside of the pack. Put a folder there.")
    return files


def toml_table(values: Mapping[str, Any]) -> Table:
    """A TOML table of the values that are set."""
    table = tomlkit.table()
    table.update({key: value for key, value in values.items() if value not in (None, "", [], ())})
    return table


def toml_inline_table(values: Mapping[str, Any]) -> InlineTable:
    """A TOML table on one line."""
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _named(folder: Path) -> set[str]:
    """The names of the stored files that the manifest has."""
    files = (file.file.removeprefix(f"{FILES}/") for file in read_manifest(folder).files())
    return {name for name in files if _STORED.fullmatch(name)}


def _stored(folder: Path) -> list[Path]:
    """The stored files of a pack, complete or not."""
    if not (folder / FILES).is_dir():
        return []
    return [path for path in files_folder(folder).iterdir() if _STORED.fullmatch(path.name)]


def _clean_cut_off(folder: Path, named: Collection[str]) -> None:
    """Removes what a change that was cut off left: files newer than the manifest, which it does not name."""
    changed = (folder / MANIFEST).stat().st_mtime_ns
    unnamed = (path for path in _stored(folder) if path.name not in named)
    _remove(path for path in unnamed if path.name.startswith(_STORING) or path.stat().st_mtime_ns >= changed)
    _remove(path for path in folder.iterdir() if _HALF_A_MANIFEST.fullmatch(path.name))


def _remove(paths: Iterable[Path]) -> None:
    """Removes files; one that cannot be now, because a running chat on Windows has it open say, is left."""
    for path in list(paths):
        with contextlib.suppress(OSError):
            path.unlink()
