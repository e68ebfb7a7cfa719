"""Downloads files of a repository: continues where it was cut, waits where the hub asks for it, checks the hashes."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from dlp_local.core.errors import HubError
from dlp_local.core.files import make_folder, rename
from dlp_local.core.text import size_text
from dlp_local.hub import client
from dlp_local.hub.choice import Reference, RepoFile

ATTEMPTS = 4
"""How often in a row a request may fail before it is given up; bytes that come begin the count anew."""

MAX_WAIT = 120.0
"""Seconds that a server may ask to wait; where it asks for more, the user is told."""

SPARE = 256 << 20
"""Bytes that stay free on the disk."""

Result = TypeVar("Result")


class Progress(Protocol):
    """Receives how far a download is."""

    def at(self, file: RepoFile, done: int) -> None:
        """Receives that `done` bytes of a file are there."""

    def note(self, text: str) -> None:
        """Receives a sentence for the user: that and why a download waits, say."""


class Patience:
    """Counts failures in a row and waits after each: twice as long every time, or as long as the hub asks."""

    def __init__(self, reference: Reference, progress: Progress) -> None:
        self._reference, self._progress = reference, progress
        self.failures = 0

    def wait(self, error: client.CutError) -> None:
        """Waits before another try; raises `HubError` where it has been tried often enough."""
        self.failures += 1
        seconds = 2.0 ** (self.failures - 1) if error.wait is None else error.wait
        if seconds > MAX_WAIT:
            raise HubError(f"{self._reference}: {error}, and asks to wait {seconds:.0f} s. Pull again then.")
        if self.failures >= ATTEMPTS:
            raise HubError(
                f"{self._reference}: {error}, {ATTEMPTS} times in a row. Check the connection and pull again: it goes "
                "on from where it is."
            )
        self._progress.note(f"{error}; trying again in {seconds:.0f} s")
        time.sleep(seconds)


def persist(reference: Reference, progress: Progress, request: Callable[[], Result]) -> Result:
    """Returns what `request` returns; after a `CutError` it is called again, up to `ATTEMPTS` times in a row."""
    patience = Patience(reference, progress)
    while True:
        try:
            return request()
        except client.CutError as error:
            patience.wait(error)


def check_room(files: Sequence[RepoFile], parts: Path) -> None:
    """Raises `HubError` where what is still to come of some files would not fit on the disk of `parts`."""
    missing = sum(max(0, file.size - _size(parts / file.digest)) for file in files)
    free = shutil.disk_usage(parts).free
    if missing + SPARE > free:
        raise HubError(
            f"{parts}: {size_text(missing)} are to come, and {size_text(free)} are free. Make room, take a smaller "
            "file, or set DLP_LOCAL_DATA to a folder on another disk."
        )


class Downloader:
    """Downloads files of one repository at one commit; what is not complete yet is kept in the folder `parts`."""

    def __init__(self, reference: Reference, commit: str, parts: Path, progress: Progress) -> None:
        parts.mkdir(exist_ok=True)
        self.reference, self._commit, self._parts, self._progress = reference, commit, parts, progress

    def get(self, files: Sequence[RepoFile], folder: Path) -> list[Path]:
        """Where the files are beneath `folder`, in their order; downloads those that are not there, or damaged.

        Raises `HubError`, also where the disk has no room for all of them.
        """
        missing = [file for file in files if not is_promised(folder / file.path, file)]
        check_room(missing, self._parts)
        for file in missing:
            download(self.reference, self._commit, file, folder / file.path, self._parts, self._progress)
        return [folder / file.path for file in files]


def download(reference: Reference, commit: str, file: RepoFile, target: Path, parts: Path, progress: Progress) -> None:
    """Fetches a file to `target`; what came before a cut, a kill or Ctrl+C stays in `parts` and is gone on with.

    Raises `HubError` where the hub cannot be reached, and, after deleting what came, where it is not what the hub
    promised.
    """
    part = parts / file.digest
    patience = Patience(reference, progress)
    while (start := _size(part)) != file.size or not part.exists():
        if start > file.size:
            part.unlink()
            start = 0
        try:
            _append(reference, commit, file, part, start, progress, patience)
        except client.CutError as error:
            patience.wait(error)
    if not is_promised(part, file):
        part.unlink()
        raise HubError(
            f"{reference}: {file.path} is not what the hub promises (another hash); what came was deleted. Pull again; "
            "if it happens again, something between here and the hub changes files."
        )
    make_folder(target.parent)
    rename(part, target)


def _append(
    reference: Reference, commit: str, file: RepoFile, part: Path, start: int, progress: Progress, patience: Patience
) -> None:
    """Adds what comes to `part`; raises `CutError` where less came than the hub promised."""
    with client.open_file(reference, commit, file, start) as (position, pieces), part.open("ab") as out:
        if position != start:
            position = 0
            out.truncate(0)
        progress.at(file, position)
        for piece in pieces:
            out.write(piece[: file.size - position])
            position = min(position + len(piece), file.size)
            patience.failures = 0
            progress.at(file, position)
            if position == file.size:
                break
        out.flush()
        os.fsync(out.fileno())
    if position < file.size:
        raise client.CutError(f"{file.path} ended after {position} of {file.size} bytes")


def is_promised(path: Path, file: RepoFile) -> bool:
    """Compares a file with its sha256, or with Git's id of its content: the SHA-1 of `blob`, size, NUL and content."""
    if _size(path) != file.size:
        return False
    with path.open("rb") as data:
        if file.sha256:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
        git = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        return hashlib.file_digest(data, lambda: git).hexdigest() == file.blob


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
