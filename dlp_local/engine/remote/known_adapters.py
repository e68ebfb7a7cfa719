"""The adapters that a remote engine knows: their files here, what is in them, and the copies that others load."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import file_sha256, make_folder, written_aside
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, AdapterFile, Mix
from dlp_local.formats.gguf import header_without
from dlp_local.formats.lora import read_lora

INVOCATION_TOKENS = "adapter.alora.invocation_tokens"
"""The key that switches an adapter on within the prompt: other engines refuse it, two at a time or alone."""

HASH_DIGITS = 12


class KnownAdapters:
    """Adapters by name; may be used by several threads."""

    def __init__(self, files: Sequence[AdapterFile]) -> None:
        self._files = {file.name: file for file in files}
        self._hashes: dict[Path, str] = {}
        self._lock = threading.Lock()

    @property
    def files(self) -> tuple[AdapterFile, ...]:
        """All of them, by name."""
        with self._lock:
            return tuple(self._files[name] for name in sorted(self._files))

    @contextmanager
    def added(self, file: AdapterFile) -> Iterator[None]:
        """Takes an adapter in, in place of another one of its name; raises `PackError` for a bad file.

        Where the block, which has a server load it, raises, what was known before is known again.
        """
        read_lora(file.path)
        with self._lock:
            before, digest = self._files.get(file.name), self._hashes.pop(file.path, None)
            self._files[file.name] = file
        try:
            yield
        except BaseException:
            with self._lock:
                self._files.pop(file.name, None)
                self._hashes.pop(file.path, None)
                self._files |= {before.name: before} if before else {}
                self._hashes |= {file.path: digest} if digest else {}
            raise

    def remove(self, name: str) -> None:
        """Forgets an adapter; raises `InputError` for an unknown one."""
        file = self.file(name)
        with self._lock:
            self._files.pop(name, None)
            self._hashes.pop(file.path, None)

    def file(self, name: str) -> AdapterFile:
        """The adapter of this name; raises `InputError` for an unknown one."""
        with self._lock:
            if name in self._files:
                return self._files[name]
            raise InputError(f"mix: {unknown_name('adapter', name, [*sorted(self._files), BASE])}")

    def factors(self, mix: Mix) -> list[tuple[AdapterFile, float]]:
        """The adapters of a mix, each with its weight times its scale; raises `InputError` for unknown ones."""
        files = [(self.file(name), weight) for name, weight in mix.weights]
        return [(file, weight * file.scale) for file, weight in files]

    def digest(self, file: AdapterFile) -> str:
        """The sha256 of an adapter's file; raises `PackError` where it cannot be read."""
        with self._lock:
            known = self._hashes.get(file.path)
        if known is None:
            known = content_digest(file.path)
            with self._lock:
                self._hashes[file.path] = known
        return known

    def copy_name(self, file: AdapterFile) -> str:
        """What the copy for llama-server is called: by name and content."""
        return f"{file.name}-{self.digest(file)[:HASH_DIGITS]}.gguf"

    def copy(self, file: AdapterFile, folder: Path) -> Path:
        """Writes the copy for llama-server into a folder, unless it is there: the same but for the invocation tokens.

        Raises `PackError` for a bad adapter, `InputError` where the folder cannot be written.
        """
        path = folder / self.copy_name(file)
        if path.exists():
            return path
        read_lora(file.path)
        header, data = header_without(file.path, INVOCATION_TOKENS)
        try:
            make_folder(folder)
            with written_aside(path) as part, part.open("wb") as out, file.path.open("rb") as source:
                out.write(header)
                source.seek(data)
                shutil.copyfileobj(source, out)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error}). Name another place.") from None
        return path


def content_digest(path: Path) -> str:
    """The sha256 of a file; raises `PackError` where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack and the file's rights.") from None
