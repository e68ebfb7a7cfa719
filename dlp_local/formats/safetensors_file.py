"""A safetensors file, read with every length checked against the file: what comes from the net is untrusted input.

Format: huggingface/safetensors, README.md, "Format": the length of a JSON header in 8 bytes, the header, the data
without gaps. F32, F16 and BF16 are read; no torch is needed for that.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import PackError

MAX_HEADER = 8 << 20
MAX_TENSORS = 65_536
MAX_NAME = 256
MAX_DIMENSIONS = 8

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies: `offset` in bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


class Safetensors:
    """The tensors of an open file; made by `open_safetensors`."""

    def __init__(self, path: Path, file: BinaryIO, places: Mapping[str, _Place]) -> None:
        self.path = path
        self._file, self._places = file, places
        self.shapes = {name: place.shape for name, place in places.items()}
        """Of every tensor, slowest dimension first."""

    def read(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32; raises `PackError` where it holds NaN or infinity."""
        place = self._places[name]
        try:
            self._file.seek(place.offset)
            raw = np.frombuffer(self._file.read(place.size), _DTYPES[place.dtype])
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if raw.nbytes != place.size:
            raise PackError(f"{self.path}: was cut off while it was read. Get the file again.")
        values = (raw.astype("<u4") << 16).view("<f4") if place.dtype == "BF16" else raw.astype("<f4")
        if not np.isfinite(values).all():
            raise PackError(f"{self.path}: {name} holds NaN or infinity. Train the adapter again.")
        return values.reshape(place.shape)


@contextmanager
def open_safetensors(path: Path) -> Iterator[Safetensors]:
    """Opens a file and checks its header; raises `PackError` that names the file and what is wrong with it."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        try:
            places = _read_places(file)
        except OSError as error:
            raise _unreadable(path, error) from None
        except (ValueError, RecursionError) as error:
            raise PackError(f"{path}: is no sound safetensors file: {error}. Get the file again.") from None
        yield Safetensors(path, file, places)


def _unreadable(path: Path, error: OSError) -> PackError:
    return PackError(f"{path}: cannot be read ({error.strerror}). Check the folder and the file's rights.")


def _read_places(file: BinaryIO) -> dict[str, _Place]:
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("it ends in the middle of its header")
    (length,) = struct.unpack("<Q", start)
    if length > min(MAX_HEADER, size - 8):
        raise ValueError(f"it promises a header of {length} bytes")
    header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_without_duplicates)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop(_METADATA, None)
    if len(header) > MAX_TENSORS:
        raise ValueError(f"its header promises {len(header)} tensors")
    data = 8 + length
    places = {_name(name): _place(name, entry, data) for name, entry in header.items()}
    end = data
    for name, place in sorted(places.items(), key=lambda item: (item[1].offset, item[1].size)):
        if place.offset != end:
            raise ValueError(f"the data of {name} overlap with others or leave a gap")
        end += place.size
    if end != size:
        raise ValueError(f"its tensors take {end} bytes, and the file has {size}")
    return places


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("its header names something twice")
    return entries


def _name(name: str) -> str:
    if len(name) > MAX_NAME or not name.isascii() or not name.isprintable():
        raise ValueError(f"its header holds the name {name[:MAX_NAME]!a}")
    return name


def _place(name: str, entry: object, data: int) -> _Place:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its header does not describe {name}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"the shape of {name} is none")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"the place of {name} is none")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"{name} has the type {str(dtype)[:16]!a}; {', '.join(_DTYPES)} can be read")
    size = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != size:
        raise ValueError(f"{name} has {offsets[1] - offsets[0]} bytes and the shape {shape} of {dtype}")
    return _Place(dtype, tuple(shape), data + offsets[0], size)


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 48 for value in values)
