"""A safetensors file's tensors as float32, without torch. What comes from the net is untrusted input.

The `safetensors` library checks the header against the file: offsets, sizes, no gap and no overlap. It has no bfloat16
for numpy, and a mapped file that another program cuts off would end the process; so the bytes are read here. Where they
lie follows from its checks: one tensor behind the other, in the order of `offset_keys`, up to the end of the file.
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
from safetensors import SafetensorError, safe_open

from dlp_local.core.errors import PackError
from dlp_local.formats.file_signature import ANOTHER, READ, begins_as_safetensors, kind_of_file

MAX_HEADER = 8 << 20
MAX_TENSORS = 65_536
MAX_NAME = 256
MAX_DIMENSIONS = 8

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_METADATA = "__metadata__"
_ENTRY_KEYS = {"dtype", "shape", "data_offsets"}
_CALLED = {"shape": "shape", "data_offsets": "place"}


@dataclass(frozen=True, slots=True)
class _Tensor:
    """`offset` in bytes from the start of the file; `shape` with the slowest dimension first."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return math.prod(self.shape) * np.dtype(_DTYPES[self.dtype]).itemsize


class Safetensors:
    """The tensors of an open file; made by `open_safetensors`."""

    def __init__(self, path: Path, file: BinaryIO, tensors: Mapping[str, _Tensor]) -> None:
        self.path = path
        self._file, self._tensors = file, tensors
        self.shapes = {name: tensor.shape for name, tensor in tensors.items()}
        """Of every tensor, slowest dimension first."""

    def read(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32; raises `PackError` where it holds NaN or infinity."""
        tensor = self._tensors[name]
        try:
            self._file.seek(tensor.offset)
            raw = self._file.read(tensor.size)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if len(raw) != tensor.size:
            raise PackError(f"{self.path}: was cut off while it was read. Get the file again.")
        stored = np.frombuffer(raw, _DTYPES[tensor.dtype])
        values = (stored.astype("<u4") << 16).view("<f4") if tensor.dtype == "BF16" else stored.astype("<f4")
        if not np.isfinite(values).all():
            raise PackError(f"{self.path}: {name} holds NaN or infinity. Train the adapter again.")
        return values.reshape(tensor.shape)


@contextmanager
def open_safetensors(path: Path) -> Iterator[Safetensors]:
    """Opens a file and checks its header; raises `PackError` that names the file and what is wrong with it."""
    try:
        if path.exists() and not path.is_file():  # a pipe or a device, which may have no end
            raise PackError(f"{path}: is no file. Name a safetensors file.")
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        try:
            _check_header(file)
            tensors = _tensors(path)
        except OSError as error:
            raise _unreadable(path, error) from None
        except (ValueError, RecursionError, SafetensorError) as error:
            raise _unsound(path, file, error) from None
        yield Safetensors(path, file, tensors)


def _unsound(path: Path, file: BinaryIO, error: Exception) -> PackError:
    file.seek(0)
    start = file.read(READ)
    if not begins_as_safetensors(start) and (kind := kind_of_file(start)):
        return PackError(f"{path}: is {kind}.")
    return PackError(f"{path}: is no sound safetensors file: {_plain(error)}. {ANOTHER}.")


def _plain(error: Exception) -> str:
    return str(error).replace("Error while deserializing header: ", "its header cannot be used: ")


def _unreadable(path: Path, error: OSError) -> PackError:
    return PackError(f"{path}: cannot be read ({error.strerror or error}). Check the folder and the file's rights.")


def _check_header(file: BinaryIO) -> None:
    """Refuses what the library lets pass: a header of many megabytes, names twice, entries with more than is known."""
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
    for name, entry in header.items():
        if len(name) > MAX_NAME or not name.isascii() or not name.isprintable():
            raise ValueError(f"its header holds the name {name[:MAX_NAME]!a}")
        if not isinstance(entry, dict) or set(entry) != _ENTRY_KEYS:
            raise ValueError(f"its header does not describe {name}")
        for key in ("shape", "data_offsets"):
            numbers = entry[key]
            if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
                raise ValueError(f"the {_CALLED[key]} of {name} is {str(numbers)[:64]}, and it has to be whole numbers")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("its header names something twice")
    return entries


def _tensors(path: Path) -> dict[str, _Tensor]:
    """The tensors of a file by name, as the library's checks leave them."""
    tensors: dict[str, _Tensor] = {}
    with safe_open(path, framework="numpy") as opened:
        for name in opened.offset_keys():
            described = opened.get_slice(name)
            dtype, shape = described.get_dtype(), tuple(described.get_shape())
            if dtype not in _DTYPES:
                raise ValueError(f"{name} has the type {dtype[:16]!a}; {', '.join(_DTYPES)} can be read")
            if len(shape) > MAX_DIMENSIONS:
                raise ValueError(f"{name} has {len(shape)} dimensions")
            tensors[name] = _Tensor(dtype, shape, 0)
    offset = path.stat().st_size
    for name, tensor in reversed(tensors.items()):
        offset -= tensor.size
        tensors[name] = _Tensor(tensor.dtype, tensor.shape, offset)
    return tensors
