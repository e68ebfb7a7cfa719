"""Files that no folder shows, for a library that reads only files."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def anonymous_file(chunks: Iterable[bytes | memoryview]) -> Iterator[str]:
    """Yields the path of a file that holds these chunks; it is gone afterwards, and after a kill too.

    In memory on Linux; elsewhere its name is gone before it is written. Windows cannot open a file without a name:
    there it lies in the temporary folder for as long as it is used, and a kill leaves it there.
    """
    if sys.platform == "win32":
        descriptor, path = tempfile.mkstemp(prefix="dlp-local-")
        try:
            _write(descriptor, chunks)
            yield path
        finally:
            Path(path).unlink()
        return
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("dlp-local")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        _write(os.dup(descriptor), chunks)
        os.lseek(descriptor, 0, os.SEEK_SET)  # macOS: what opens /dev/fd/N goes on where N stands
        yield f"/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)


def anonymous_files(contents: Iterable[Iterable[bytes | memoryview]]) -> Generator[str, None, None]:
    """Yields the paths of such files in turn; another thread writes the next one while one is used."""
    left = iter(contents)
    with ThreadPoolExecutor(1) as writer:
        coming = writer.submit(_written, left)
        try:
            while written := coming.result():
                coming = writer.submit(_written, left)
                path, file = written
                try:
                    yield path
                finally:
                    writer.submit(file.close)
        finally:
            if not coming.exception() and (unused := coming.result()):
                unused[1].close()


def _written(contents: Iterator[Iterable[bytes | memoryview]]) -> tuple[str, ExitStack] | None:
    """The path of a file with the next contents, and what takes the file away; None where there are no more."""
    for chunks in contents:
        with ExitStack() as file:
            return file.enter_context(anonymous_file(chunks)), file.pop_all()
    return None


def _write(descriptor: int, chunks: Iterable[bytes | memoryview]) -> None:
    """Writes the chunks and closes the descriptor."""
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]
