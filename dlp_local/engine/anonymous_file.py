"""A file that no folder shows, for a library that reads only files."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def anonymous_file(size: int, fill: Callable[[mmap.mmap], None]) -> Iterator[str]:
    """Yields the path of a file of `size` bytes that `fill` wrote; it is gone afterwards, and after a kill too.

    In memory on Linux; elsewhere its name is gone before it is written. Windows cannot open a file without a name:
    there it lies in the temporary folder for as long as it is used, and a kill leaves it there.
    """
    if sys.platform == "win32":
        descriptor, path = tempfile.mkstemp(prefix="dlp-local-")
        try:
            try:
                _fill(descriptor, size, fill)
            finally:
                os.close(descriptor)
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
        _fill(descriptor, size, fill)
        yield f"/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _fill(descriptor: int, size: int, fill: Callable[[mmap.mmap], None]) -> None:
    os.ftruncate(descriptor, size)
    fill(mmap.mmap(descriptor, size))
