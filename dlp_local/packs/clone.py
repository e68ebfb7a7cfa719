"""Brings a file into a pack: as a clone that shares its blocks on the disk until one of both changes, else a copy."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlp_local.core.files import make_folder, sync_folder
from dlp_local.core.paths import downloads_folder
from dlp_local.packs.locations import shipped_packs

CHUNK = 1 << 20
"""Bytes that are read, hashed and written at a time."""

FICLONE = 0x40049409
"""Linux's ioctl that makes one file a clone of another (linux/fs.h); btrfs, XFS and bcachefs have it."""

Copied = Callable[[int], None]
"""Receives how many bytes of a file are done."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file was found to hold: the sha256 in hexadecimal, and its size in bytes."""

    sha256: str
    size: int


def share_file(source: Path, target: Path, copied: Copied | None = None) -> Content:
    """As `bring_file`, but a file that the program wrote, and never writes to again, becomes a hard link.

    Such are the files of shipped packs and downloads.
    """
    source = Path(os.path.realpath(source))
    make_folder(target.parent)
    if not (_is_own(source) and _link(source, target)):
        return bring_file(source, target, copied)
    return hash_file(target, copied)


def bring_file(source: Path, target: Path, copied: Copied | None = None) -> Content:
    """Makes `target`, which must not be there, hold what `source` holds, and puts it on the disk.

    It is a clone where the file system has these, else a copy: what happens to `source` afterwards does not reach it.
    Raises `OSError`, and leaves no `target` then.
    """
    source = Path(os.path.realpath(source))
    make_folder(target.parent)
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        content = hash_file(target, copied) if _clone(source, target) else _copy(source, target, copied)
        sync_folder(target.parent)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return content


def hash_file(path: Path, hashed: Copied | None = None) -> Content:
    """Reads a file to its end; raises `OSError`."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as read:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if hashed:
                hashed(size)
    return Content(digest.hexdigest(), size)


def _is_own(path: Path) -> bool:
    folders = [downloads_folder(), *shipped_packs()]
    return any(path.is_relative_to(os.path.realpath(folder)) for folder in folders)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _clone(source: Path, target: Path) -> bool:
    """Whether a clone could be made; where not, there is no `target`."""
    if sys.platform == "darwin":
        return _clone_on_macos(source, target)
    if sys.platform.startswith("linux"):
        return _clone_on_linux(source, target)
    return False


def _clone_on_linux(source: Path, target: Path) -> bool:
    import fcntl

    with source.open("rb") as read, target.open("xb") as write:
        try:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
        except OSError:
            target.unlink()
            return False
        os.fsync(write.fileno())
    return True


def _clone_on_macos(source: Path, target: Path) -> bool:
    """By clonefile(2), which APFS has."""
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    return bool(libc.clonefile(os.fsencode(source), os.fsencode(target), ctypes.c_uint32(0)) == 0)


def _copy(source: Path, target: Path, copied: Copied | None) -> Content:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as read, target.open("xb") as write:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            size += write.write(chunk)
            if copied:
                copied(size)
        write.flush()
        os.fsync(write.fileno())
    return Content(digest.hexdigest(), size)
