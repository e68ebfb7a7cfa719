"""Changing a pack: under a lock, files first and `pack.toml` last, each written aside, flushed and renamed.

A file that a change brings has its hash in its name, so it never takes the place of another one that is in use. A cut
at any moment leaves the manifest as it was or as it is meant to be; what it does not name goes with the next change.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import tomlkit
from tomlkit.items import InlineTable, Table

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import sync_folder, written_aside
from dlp_local.core.paths import MANIFEST
from dlp_local.packs.locations import is_bundled
from dlp_local.packs.manifest import manifest_text, parse_manifest, read_manifest

FILES = "adapters"
"""The folder, inside a pack, of the files that changes bring."""

LOCK = ".lock"
LOCK_WAIT = 60.0
"""Seconds that a change waits for another process's."""

_BROUGHT = re.compile(r"[a-z0-9][a-z0-9._-]*-[0-9a-f]{12}(\.part)?\.[a-z]+|[a-z0-9][a-z0-9._-]*\.part\.[a-z]+")
_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[tomlkit.TOMLDocument]:
    """The `pack.toml` of a pack, to be changed; it is checked and written at the end, with its comments.

    Where the body raises, or the result would be no manifest, the pack stays as it was. Raises `InputError` for the
    bundled pack, and `PackError` where the disk is full, the folder cannot be written to, or another process does not
    end its own change.
    """
    check_changeable(folder)
    with pack_errors(folder), locked(folder):
        _clean(folder)
        try:
            document = tomlkit.parse(manifest_text(folder))
            yield document
            write_manifest(folder, document)
        finally:
            _clean(folder)


def check_changeable(folder: Path) -> None:
    """Raises `InputError` for the bundled pack."""
    if is_bundled(folder):
        raise InputError(
            "the bundled pack is never changed. Make one of your own: "
            "dlp-local pack create mine --from bundled && dlp-local pack use mine"
        )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time."""
    try:
        with filelock.FileLock(folder / LOCK, timeout=LOCK_WAIT):
            yield
    except filelock.Timeout:
        raise PackError(f"{folder}: another process is changing it. Wait for it and do this again.") from None


@contextlib.contextmanager
def pack_errors(folder: Path) -> Iterator[None]:
    """What a disk refuses, as a `PackError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise PackError(f"{folder}: is as it was, for the disk is full ({reason}). Free some room first.") from None
        raise PackError(f"{folder}: cannot be changed ({reason}). Check its rights, or copy the pack.") from None


def write_manifest(folder: Path, document: tomlkit.TOMLDocument) -> None:
    """Writes a checked `pack.toml`; raises `PackError` for what is no manifest."""
    text = tomlkit.dumps(document).rstrip("\n") + "\n"
    parse_manifest(text, folder / MANIFEST)
    with written_aside(folder / MANIFEST) as part:
        part.write_text(text, "utf-8")


def bring(folder: Path, source: Path, stem: str, suffix: str) -> dict[str, Any]:
    """Copies a file into a pack that is being changed; returns its `file`, `sha256` and `size` for the manifest.

    It is on the disk, under its last name, when this returns.
    """
    place = files_folder(folder)
    part = place / f"{stem}.part.{suffix}"
    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as read, part.open("wb") as write:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                size += write.write(chunk)
            write.flush()
            os.fsync(write.fileno())
        name = stored_name(stem, digest.hexdigest(), suffix)
        os.replace(part, folder / name)
        sync_folder(place)
    finally:
        part.unlink(missing_ok=True)
    return {"file": name, "sha256": digest.hexdigest(), "size": size}


def stored_name(stem: str, sha256: str, suffix: str) -> str:
    """What a file that a change brings is called inside its pack."""
    return f"{FILES}/{stem}-{sha256[:12]}.{suffix}"


def link_or_copy(source: Path, target: Path) -> None:
    """Another name for the same bytes where the disk can do that, else a copy; `target` is not there yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = Path(os.path.realpath(source))
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())


def files_folder(folder: Path) -> Path:
    """Where a pack's own changes put files; raises `PackError` where that is a link to outside of the pack."""
    place = folder / FILES
    place.mkdir(exist_ok=True)
    if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder)):
        raise PackError(f"{place}: is a link to a place outside of the pack. Put a folder there.")
    return place


def table(values: Mapping[str, Any]) -> Table:
    """A TOML table of the values that are set."""
    made = tomlkit.table()
    made.update({key: value for key, value in values.items() if value not in (None, "", [], ())})
    return made


def inline(values: Mapping[str, Any]) -> InlineTable:
    """A TOML table on one line."""
    made = tomlkit.inline_table()
    made.update(values)
    return made


def _clean(folder: Path) -> None:
    """Removes what an earlier change brought and no manifest names: it was cut, or its adapter is gone.

    What cannot be removed now, because a running chat on Windows has it open say, goes another time.
    """
    named = {file.file for file in read_manifest(folder).files()}
    if not (folder / FILES).is_dir():
        return
    for path in files_folder(folder).iterdir():
        if _BROUGHT.fullmatch(path.name) and f"{FILES}/{path.name}" not in named:
            with contextlib.suppress(OSError):
                path.unlink()
