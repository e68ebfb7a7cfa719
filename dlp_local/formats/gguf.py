"""The header of a GGUF file, read with every length checked against the file: model files are untrusted input.

Format: the GGUF specification, versions 2 and 3 (ggml-org/ggml, docs/gguf.md), little-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dlp_local.core.errors import PackError
from dlp_local.formats.file_signature import ANOTHER, READ, kind_of_file

MAGIC = b"GGUF"
F32, F16, Q8_0, BF16 = 0, 1, 8, 30
"""ggml's numbers of the tensor types that this project reads itself."""

EMBEDDINGS, OUTPUT = "token_embd.weight", "output.weight"
"""Two weights that adapters treat apart; a backbone without an output of its own computes it with its embeddings."""

BLOCKS = {F32: (1, 4), F16: (1, 2), BF16: (1, 2), Q8_0: (32, 34), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24)}
"""Type → (values, bytes) of a block. 2, 3, 6 and 7 are Q4_0, Q4_1, Q5_0 and Q5_1."""

MAX_ENTRIES = 65_536
MAX_STRING = 1 << 20
MAX_LIST = 1 << 20
MAX_DIMENSIONS = 4
ALIGNMENT = 32

UINT32, FLOAT32, STRING, _ARRAY = 4, 6, 8, 9
"""GGUF's numbers of the value types that this project asks for."""

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


@dataclass(frozen=True, slots=True)
class Value:
    """An entry of the header: its type (ggml's number; an array's is its elements'), and its value."""

    kind: int
    value: object
    is_array: bool = False


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies in its file: `shape` in ggml's order (fastest first), `offset` and `size` in bytes."""

    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """Everything before the tensors' data."""

    values: Mapping[str, Value]
    tensors: Mapping[str, Tensor]


def architecture(values: Mapping[str, Value]) -> str:
    """The name of a header's architecture, with which the names of its numbers begin; empty where it has none."""
    return str(values["general.architecture"].value) if "general.architecture" in values else ""


def whole_number(values: Mapping[str, Value], key: str, default: int) -> int:
    """A whole number of a header; of a list, with one for each layer, the largest."""
    number = values[key].value if key in values else default
    if isinstance(number, tuple):
        number = max((n for n in number if isinstance(n, int)), default=default)
    return number if isinstance(number, int) else default


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size = file, size

    @property
    def position(self) -> int:
        return self._file.tell()

    def take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("it ends in the middle of its header")
        return data

    def peek(self, count: int) -> bytes:
        """Up to `count` bytes from here on, which are still to be taken."""
        position = self.position
        data = self._file.read(count)
        self._file.seek(position)
        return data

    def between(self, start: int, end: int) -> bytes:
        """The bytes of a part that was read."""
        position = self.position
        self._file.seek(start)
        data = self.take(end - start)
        self._file.seek(position)
        return data

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def number(self, layout: str = "<Q") -> int:
        return int(self.unpack(layout)[0])

    def string(self) -> str:
        length = self.number()
        if length > MAX_STRING:
            raise ValueError(f"its header holds a text of {length} bytes")
        return self.take(length).decode("utf-8", "replace")

    def name(self) -> str:
        """Of a value or a tensor; llama.cpp takes a name to end at its first zero byte, and so could read another."""
        name = self.string()
        if not name or not name.isprintable():
            raise ValueError(f"its header holds the name {name[:64]!a}")
        return name

    def value(self) -> Value:
        kind = self.number("<I")
        if kind == STRING:
            return Value(kind, self.string())
        if kind == _ARRAY:
            return self._array()
        if kind not in _SCALARS:
            raise ValueError(f"its header holds a value of the unknown type {kind}")
        return Value(kind, self.unpack(_SCALARS[kind])[0])

    def _array(self) -> Value:
        kind, count = self.number("<I"), self.number()
        if count > MAX_LIST:
            raise ValueError(f"its header holds a list of {count} values")
        if kind == STRING:
            return Value(kind, tuple(self.string() for _ in range(count)), True)
        if kind not in _SCALARS:
            raise ValueError(f"its header holds a list of the unknown type {kind}")
        return Value(kind, self.unpack(f"<{count}{_SCALARS[kind][1]}"), True)


def read_header(path: Path) -> Header:
    """Reads and checks a file's header; raises `PackError` that names the file and what is wrong with it."""
    with _opened(path) as reader:
        tensor_count, value_count = _counts(reader)
        values = {}
        for _ in range(value_count):
            key = reader.name()
            if key in values:
                raise ValueError(f"its header holds {key} twice")
            values[key] = reader.value()
        return Header(values, _tensors(reader, tensor_count, values))


def read_leading_values(path: Path) -> dict[str, Value]:
    """The values before the tokenizer's, which are most of a model's header; raises as `read_header` does."""
    values = {}
    with _opened(path) as reader:
        _, value_count = _counts(reader)
        for _ in range(value_count):
            key = reader.name()
            if key.startswith("tokenizer."):
                break
            values[key] = reader.value()
    return values


def header_without(path: Path, key: str) -> tuple[bytes, int]:
    """The header of a file without one of its values, filled up to where the tensors' data begins, and where that
    begins in the file itself; raises as `read_header` does.
    """
    with _opened(path) as reader:
        tensor_count, value_count = _counts(reader)
        kept, values = bytearray(), {}
        for _ in range(value_count):
            start = reader.position
            name = reader.name()
            values[name] = reader.value()
            if name != key:
                kept += reader.between(start, reader.position)
        start, alignment = reader.position, _alignment(values)
        _tensors(reader, tensor_count, values)
        kept += reader.between(start, reader.position)
        counts = struct.pack("<IQQ", 3, tensor_count, value_count - (key in values))
        header = MAGIC + counts + kept
        return header.ljust(_rounded_up(len(header), alignment), b"\0"), _rounded_up(reader.position, alignment)


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            size = file.tell()
            file.seek(0)
            yield _Reader(file, size)
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack and the file's rights.") from None
    except _OtherFileError as error:
        raise PackError(f"{path}: {error}.") from None
    except (ValueError, OverflowError) as error:
        raise PackError(f"{path}: {error}. {ANOTHER}.") from None


class _OtherFileError(Exception):
    """The file is none that can be read here, whatever it holds: what it is, and what helps."""


def _counts(reader: _Reader) -> tuple[int, int]:
    """How many tensors and values the header promises."""
    start = reader.peek(READ)
    if not start.startswith(MAGIC):
        kind = kind_of_file(start)
        raise _OtherFileError(f"is {kind}" if kind else f"is not a GGUF file. {ANOTHER}")
    reader.take(len(MAGIC))
    version = reader.number("<I")
    if version and not version & 0xFFFF:  # small numbers in the other order of bytes
        raise _OtherFileError(
            "is big-endian GGUF, for machines such as s390x. Get the little-endian file, or convert it "
            "with llama.cpp's gguf_convert_endian.py"
        )
    if version == 1:
        raise _OtherFileError(
            "is GGUF of version 1, which llama.cpp reads no longer. Get a newer file of this model, or convert it anew"
        )
    if version not in (2, 3):
        raise _OtherFileError(
            f"is GGUF of version {version}, and 2 and 3 can be read. "
            "Look for a newer dlp-local, or get the file in version 3"
        )
    tensor_count, value_count = reader.number(), reader.number()
    if max(tensor_count, value_count) > MAX_ENTRIES:
        raise ValueError(f"its header promises {tensor_count} tensors and {value_count} values")
    return tensor_count, value_count


def _tensors(reader: _Reader, count: int, values: Mapping[str, Value]) -> dict[str, Tensor]:
    described: dict[str, tuple[tuple[int, ...], int, int]] = {}
    for _ in range(count):
        name = reader.name()
        dimensions = reader.number("<I")
        if not 1 <= dimensions <= MAX_DIMENSIONS or name in described:
            raise ValueError(f"its tensor {name} stands there twice or has {dimensions} dimensions")
        described[name] = (tuple(reader.number() for _ in range(dimensions)), reader.number("<I"), reader.number())
    start = _rounded_up(reader.position, _alignment(values))
    return {name: _tensor(name, *parts, start, reader.size) for name, parts in described.items()}


def _alignment(values: Mapping[str, Value]) -> int:
    entry = values.get("general.alignment")
    alignment = entry.value if entry else ALIGNMENT
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 16:
        raise ValueError(f"its alignment is {alignment}")
    return alignment


def _rounded_up(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _tensor(name: str, shape: tuple[int, ...], kind: int, offset: int, start: int, file_size: int) -> Tensor:
    if kind not in BLOCKS:
        return Tensor(shape, kind, start + offset, 0)
    values, size = BLOCKS[kind]
    if min(shape) < 1 or shape[0] % values:
        raise ValueError(f"its tensor {name} has the shape {shape}, which its type cannot have")
    length = math.prod(shape) // values * size
    if start + offset + length > file_size:
        raise ValueError(f"its tensor {name} goes past the end of the file, which is cut off")
    return Tensor(shape, kind, start + offset, length)
