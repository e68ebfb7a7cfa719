"""Files that clients sent, and results of trainings: on disk until a client deletes them, each for its owner alone."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pydantic import TypeAdapter, ValidationError

from dlp_local.core.files import written_aside
from dlp_local.server.errors import ApiError
from dlp_local.server.kept_folder import KeptFolder, disk_told

Purpose = Literal["fine-tune", "fine-tune-results"]
_ID = r"file-[0-9a-f]{24}"
_OURS = re.compile(rf"{_ID}(-[0-9a-f]{{8}}\.part)?\.(json|jsonl|csv)")
"""What files here are called; `.part`: what `written_aside` has not completed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file; its `name` is the client's, and no part of any path."""

    id: str
    owner: str
    name: str
    purpose: Purpose
    size: int
    created: float
    suffix: Literal[".jsonl", ".csv"]


_ABOUT = TypeAdapter(StoredFile)


class FileStore:
    """The files of one server; may be used from any thread. Every method raises `ApiError` where the disk fails."""

    def __init__(self, folder: KeptFolder, most_bytes: int) -> None:
        """`most_bytes`: of all files together."""
        self._folder, self._most_bytes = folder, most_bytes
        self._lock = threading.Lock()
        self._files: dict[str, StoredFile] | None = None

    def add(self, owner: str, name: str, purpose: Purpose, source: IO[bytes], size: int) -> StoredFile:
        """Keeps a copy of what can be read, whole or not at all; raises `ApiError` where there is no room for it."""
        with self._lock, disk_told():
            files = self._read()
            if sum(file.size for file in files.values()) + size > self._most_bytes:
                raise ApiError(
                    507, f"all files would be over {self._most_bytes >> 20} MiB (server.files_megabytes). Delete some.",
                    code="files_full",
                )  # fmt: skip
            suffix: Literal[".jsonl", ".csv"] = ".csv" if name.lower().endswith(".csv") else ".jsonl"
            file = StoredFile(
                f"file-{secrets.token_hex(12)}", owner, name, purpose, size, time.time(), suffix
            )  # fmt: skip
            try:
                with written_aside(self.path(file)) as part, part.open("wb") as target:
                    shutil.copyfileobj(source, target)
                with written_aside(self._about(file)) as part:
                    part.write_bytes(_ABOUT.dump_json(file))
            except OSError:
                self._unlink(file)
                raise
            files[file.id] = file
            return file

    def get(self, owner: str, number: str) -> StoredFile | None:
        """The file of this id; None where its owner has none."""
        with self._lock:
            file = self._read().get(number)
        return file if file and file.owner == owner else None

    def path(self, file: StoredFile) -> Path:
        """Where its content is."""
        return self._folder.taken("files") / f"{file.id}{file.suffix}"

    def all(self, owner: str) -> list[StoredFile]:
        """The files of an owner, the newest first."""
        with self._lock:
            return [file for file in reversed(self._read().values()) if file.owner == owner]

    def remove(self, owner: str, number: str) -> bool:
        """Deletes a file; whether its owner had it."""
        with self._lock, disk_told():
            file = self._read().get(number)
            if file is None or file.owner != owner:
                return False
            self._unlink(file)
            del self._read()[number]
            return True

    def _about(self, file: StoredFile) -> Path:
        return self._folder.taken("files") / f"{file.id}.json"

    def _unlink(self, file: StoredFile) -> None:
        """A file is there as long as what is known of it is there."""
        self._about(file).unlink(missing_ok=True)
        self.path(file).unlink(missing_ok=True)

    def _read(self) -> dict[str, StoredFile]:
        """The files by their ids, the oldest first; the first time what was cut off half is cleared away."""
        folder = self._folder.taken("files")
        if self._files is None:
            with disk_told():
                found = [file for path in folder.glob("file-*.json") if (file := self._known(path))]
                kept = {path for file in found for path in (self._about(file), self.path(file))}
                for path in folder.iterdir():
                    if _OURS.fullmatch(path.name) and path not in kept:
                        path.unlink()
            self._files = {file.id: file for file in sorted(found, key=lambda file: file.created)}
        return self._files

    def _known(self, about: Path) -> StoredFile | None:
        """What is known of a file; None where that is damaged, or its content is not there."""
        try:
            file = _ABOUT.validate_json(about.read_bytes())
        except ValidationError:
            return None
        is_whole = re.fullmatch(_ID, file.id) and about.stem == file.id and self.path(file).is_file()
        return file if is_whole else None
