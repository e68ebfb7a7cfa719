"""A mix as ONE adapter: the ranks of its adapters one after another.

llama.cpp computes every active adapter on its own, and the number of its graph's nodes costs the time, not the rank.
A′ = [A₁; A₂; …] and B′ = [w₁s₁B₁, w₂s₂B₂, …]/c with alpha = 0 are one adapter whose c·B′A′ = Σ wᵢsᵢBᵢAᵢ. Its scale c is
the largest wᵢsᵢ, so the strongest adapter's numbers stay as they are, and the others lose a last bit to rounding.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_local.formats import gguf as gguf
from dlp_local.formats.lora import LoraFile, values

_ALIGNMENT = 32
_DTYPES = {gguf.F16: "<f2", gguf.F32: "<f4"}
_HALF = frozenset({gguf.F16, gguf.Q8_0})
"""Types that a stack holds as F16: of Q8_0 that loses less than the quantization did. All others become F32."""

FILE_SIZE = 8 << 20
"""Bytes. One file is written while the one before it is loaded: several hide the writing, and take less memory."""

MOST_FILLED = 1.5
"""A rank is filled up where it becomes so many times as large at most: the zeros take memory.

Decoding with AVX-512, to one adapter of rank 16: three as rank 48 take 1.23, filled up to 64 1.01; two as 32 take 1.10,
and 1.01 filled up, in twice the memory (a backbone of 0.5B, Q4_0).
"""


class NotStackableError(Exception):
    """These adapters cannot become one; llama.cpp's own list of adapters computes the same mix."""


@dataclass(frozen=True, slots=True)
class _Half:
    """One of a weight's two tensors in the stack: its name, numpy shape and type."""

    name: str
    shape: tuple[int, ...]
    kind: int

    @property
    def size(self) -> int:
        """Bytes in a file."""
        return _padded(math.prod(self.shape) * np.dtype(_DTYPES[self.kind]).itemsize)


@dataclass(frozen=True, slots=True)
class _Weight:
    """A weight that the stack changes."""

    name: str
    a: _Half
    b: _Half

    @property
    def size(self) -> int:
        """Bytes in a file."""
        return self.a.size + self.b.size


class Stack:
    """The plan of a stack: its size and scale are known before anything is written.

    Each weight's rank is filled up with zeros to a multiple of `rank_step`, where it is near to one (`MOST_FILLED`).
    `uniform`: every adapter takes the same ranks in each weight, `slots`, also where its own rank is less or none.

    Raises `NotStackableError` for types that are not read here, and for adapters of different architectures.
    """

    def __init__(self, parts: Sequence[tuple[LoraFile, float]], rank_step: int = 1, *, uniform: bool = False) -> None:
        self._parts, self._rank_step, self._uniform = parts, rank_step, uniform
        self.slots = tuple(
            max(pair.a.shape[::-1][_rank_axis(name, "a")] for name, pair in lora.pairs.items()) for lora, _ in parts
        )
        if len({lora.architecture for lora, _ in parts}) != 1:
            raise NotStackableError("different architectures")
        self.scale = max(factor * pair.scale for lora, factor in parts for pair in lora.pairs.values())
        self._weights = [self._plan(name) for name in sorted({name for lora, _ in parts for name in lora.pairs})]
        self.size = sum(weight.size for weight in self._weights)

    def _plan(self, weight: str) -> _Weight:
        pairs = [lora.pairs[weight] for lora, _ in self._parts if weight in lora.pairs]
        kinds = {tensor.kind for pair in pairs for tensor in (pair.a, pair.b)}
        if not kinds <= {gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0}:
            raise NotStackableError(f"types {sorted(kinds)}")
        kind = gguf.F16 if kinds <= _HALF else gguf.F32
        halves = []
        for half, tensors in (("a", [pair.a for pair in pairs]), ("b", [pair.b for pair in pairs])):
            axis = _rank_axis(weight, half)
            shape = list(tensors[0].shape[::-1])
            shape[axis] = self._filled(sum(self._ranks(weight)))
            others = {tensor.shape[axis] for tensor in tensors}  # shape is reversed: this is the other axis
            if len(others) != 1:
                raise NotStackableError(f"shapes of {weight}")
            halves.append(_Half(f"{weight}.lora_{half}", tuple(shape), kind))
        return _Weight(weight, *halves)

    @property
    def rank(self) -> int:
        """The rank of every weight of a uniform stack."""
        return self._filled(sum(self.slots))

    @property
    def weights(self) -> int:
        """How many of the backbone's weights it changes."""
        return len(self._weights)

    def _filled(self, rank: int) -> int:
        filled = _rounded_up(rank, self._rank_step)
        return filled if filled <= MOST_FILLED * rank else rank

    def _ranks(self, weight: str) -> list[int]:
        """The ranks that each part takes in a weight."""
        if self._uniform:
            return list(self.slots)
        axis = _rank_axis(weight, "a")
        pairs = [lora.pairs.get(weight) for lora, _ in self._parts]
        return [pair.a.shape[::-1][axis] if pair else 0 for pair in pairs]

    def files(self) -> Iterator[Iterator[bytes | memoryview]]:
        """GGUF files of about `FILE_SIZE` bytes, each in chunks: adapters of different weights, together the stack."""
        group: list[_Weight] = []
        for weight in self._weights:
            group.append(weight)
            if sum(member.size for member in group) >= FILE_SIZE:
                yield self._file(group)
                group = []
        if group:
            yield self._file(group)

    def _file(self, weights: Sequence[_Weight]) -> Iterator[bytes | memoryview]:
        yield self._header([half for weight in weights for half in (weight.a, weight.b)])
        for weight in weights:
            for half, out in (("a", weight.a), ("b", weight.b)):
                written = 0
                for array in self._arrays(weight.name, half, out):
                    yield array.data.cast("B")
                    written += array.nbytes
                yield bytes(out.size - written)

    def _header(self, tensors: Sequence[_Half]) -> bytes:
        def text(value: str) -> bytes:
            raw = value.encode()
            return struct.pack("<Q", len(raw)) + raw

        strings = {
            "general.architecture": self._parts[0][0].architecture,
            "general.type": "adapter",
            "adapter.type": "lora",
        }
        header = gguf.MAGIC + struct.pack("<IQQ", 3, len(tensors), len(strings) + 1)
        header += b"".join(text(key) + struct.pack("<I", gguf.STRING) + text(value) for key, value in strings.items())
        header += text("adapter.lora.alpha") + struct.pack("<If", gguf.FLOAT32, 0.0)
        offset = 0
        for tensor in tensors:
            shape = tensor.shape[::-1]
            header += text(tensor.name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor.kind, offset)
            offset += tensor.size
        return header.ljust(_padded(len(header)), b"\0")

    def _arrays(self, weight: str, half: str, out: _Half) -> Iterator[NDArray[Any]]:
        """What a tensor consists of, one after the other: the adapters' own tensors where their ranks are its rows."""
        axis, dtype = _rank_axis(weight, half), np.dtype(_DTYPES[out.kind])
        sources = []
        for (lora, factor), rank in zip(self._parts, self._ranks(weight), strict=True):
            pair = lora.pairs.get(weight)
            source = values(lora.data, pair.a if half == "a" else pair.b) if pair else np.zeros((0, 0), dtype)
            sources.append((source, factor * pair.scale / self.scale if pair else 0.0, rank))
        filled = sum(rank for _, _, rank in sources)
        if axis == 0:
            for source, _, rank in sources:
                if source.size:
                    yield np.ascontiguousarray(source, dtype)
                if len(source) < rank:
                    yield np.zeros((rank - len(source), out.shape[1]), dtype)
            if filled < out.shape[0]:
                yield np.zeros((out.shape[0] - filled, out.shape[1]), dtype)
            return
        target, at = np.zeros(out.shape, dtype), 0
        for source, share, rank in sources:
            if source.size:
                _put(source, target[:, at : at + source.shape[1]], share if half == "b" else 1.0)
            at += rank
        yield target

    def forget_pages(self) -> None:
        """Gives back the memory of what was read of the adapters' files."""
        for lora, _ in self._parts:
            lora.forget_pages()


def _rank_axis(weight: str, half: str) -> int:
    """The axis of the rank in numpy's order; llama.cpp keeps the A of the token embeddings transposed."""
    return 0 if half == "a" and weight != gguf.EMBEDDINGS else 1


def _padded(size: int) -> int:
    return _rounded_up(size, _ALIGNMENT)


def _rounded_up(count: int, step: int) -> int:
    return -(-count // step) * step


@lru_cache(maxsize=128)
def _scaled_halves(factor: float) -> NDArray[np.uint16]:
    """Every half-precision number times `factor`, by its bits: to look up is nine times faster than to multiply."""
    halves = np.arange(1 << 16, dtype=np.uint16).view("<f2").astype(np.float32)
    with np.errstate(invalid="ignore"):
        return (halves * np.float32(factor)).astype("<f2").view("<u2")


def _put(source: NDArray[Any], place: NDArray[Any], factor: float) -> None:
    if source.dtype == place.dtype == np.dtype("<f2"):
        bits = source.view("<u2")
        place.view("<u2")[...] = bits if factor == 1 else np.take(_scaled_halves(factor), bits)
    else:
        place[...] = source.astype(np.float32) * np.float32(factor)
