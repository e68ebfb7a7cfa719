"""Where a training is kept, so that the same request goes on from there; one process at a time has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import filelock

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, written_aside
from dlp_local.core.paths import training_folder
from dlp_local.training.adapter.rows import TrainingRow, kept_rows, write_rows

REQUEST_FILE, LOCK = "request.json", ".lock"


class Workspace:
    """The folder of a training of some adapters of a pack.

    `training` is the folder in it of what was reached, and `request.json` says what that is a training of. The rows
    stay when it is over, for a later training from lessons.
    """

    def __init__(self, pack: str, names: Iterable[str]) -> None:
        self.folder = training_folder(pack, names)
        self.training = self.folder / "training"
        self._request = self.folder / REQUEST_FILE

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block no other process trains these adapters; raises `InputError` where one does already."""
        make_folder(self.folder)
        lock = filelock.FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(
                f"another process trains '{self.folder.name}' already. Wait for its end, or stop it with Ctrl+C."
            ) from None
        try:
            for cut_off in self.folder.glob("*.part*"):
                cut_off.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    @property
    def is_begun(self) -> bool:
        """Whether a training has been kept here."""
        return any(self.training.glob("*.pt"))

    def is_of(self, request: str) -> bool:
        """Whether what is kept here is a training of exactly this."""
        return self._request.is_file() and self._request.read_text("utf-8") == request

    def begin(self, request: str) -> None:
        """Gives up what another training reached, and keeps what this one is of; raises `OSError`."""
        shutil.rmtree(self.training, ignore_errors=True)
        with written_aside(self._request) as part:
            part.write_text(request, "utf-8")

    def keep_rows(self, name: str, rows: Sequence[TrainingRow]) -> None:
        """Keeps the rows of an adapter; raises `OSError`."""
        write_rows(kept_rows(self.folder, name), rows)

    def end(self) -> None:
        """Gives up what was reached: the training is over."""
        shutil.rmtree(self.training, ignore_errors=True)
        self._request.unlink(missing_ok=True)
