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

from dlp_local import gguf_header as gguf
from dlp_local.lora_file import LoraFile, values

_ALIGNMENT = 32
_DTYPES = {gguf.F16: "<f2", gguf.F32: "<f4"}
_HALF = frozenset({gguf.F16, gguf.Q8_0})
"""Types that a stack holds as F16: of Q8_0 that loses less than the quantisation did. All others become F32."""


class NotStackableError(Exception):
    """These adapters cannot become one; llama.cpp's own list of adapters computes the same mix."""


@dataclass(frozen=True, slots=True)
class _Out:
    """A tensor of the stack: name, numpy shape, type, and where its data begins."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


class Stack:
    """The plan of a stack: its size and scale are known before anything is written.

    Raises `NotStackableError` for types that are not read here, and for adapters of different architectures.
    """

    def __init__(self, parts: Sequence[tuple[LoraFile, float]]) -> None:
        self._parts = parts
        if len({lora.architecture for lora, _ in parts}) != 1:
            raise NotStackableError("different architectures")
        self.scale = max(factor * pair.scale for lora, factor in parts for pair in lora.pairs.values())
        self._outs: list[tuple[str, _Out, _Out]] = []
        position = 0
        for weight in sorted({weight for lora, _ in parts for weight in lora.pairs}):
            pairs = [lora.pairs[weight] for lora, _ in parts if weight in lora.pairs]
            kinds = {tensor.kind for pair in pairs for tensor in (pair.a, pair.b)}
            if not kinds <= {gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0}:
                raise NotStackableError(f"types {sorted(kinds)}")
            kind = gguf.F16 if kinds <= _HALF else gguf.F32
            outs = []
            for half, tensors in (("a", [pair.a for pair in pairs]), ("b", [pair.b for pair in pairs])):
                axis = _rank_axis(weight, half)
                shape = list(tensors[0].shape[::-1])
                shape[axis] = sum(tensor.shape[::-1][axis] for tensor in tensors)
                others = {tensor.shape[axis] for tensor in tensors}  # shape is reversed: this is the other axis
                if len(others) != 1:
                    raise NotStackableError(f"shapes of {weight}")
                outs.append(_Out(f"{weight}.lora_{half}", tuple(shape), kind, position))
                position += _padded(math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize)
            self._outs.append((weight, outs[0], outs[1]))
        self._header = self._make_header()
        self.size = len(self._header) + position

    def _make_header(self) -> bytes:
        def text(value: str) -> bytes:
            raw = value.encode()
            return struct.pack("<Q", len(raw)) + raw

        strings = {
            "general.architecture": self._parts[0][0].architecture,
            "general.type": "adapter",
            "adapter.type": "lora",
        }
        outs = [out for _, a, b in self._outs for out in (a, b)]
        header = gguf.MAGIC + struct.pack("<IQQ", 3, len(outs), len(strings) + 1)
        header += b"".join(text(key) + struct.pack("<I", gguf.STRING) + text(value) for key, value in strings.items())
        header += text("adapter.lora.alpha") + struct.pack("<If", gguf.FLOAT32, 0.0)
        for out in outs:
            shape = out.shape[::-1]
            header += text(out.name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, out.kind, out.offset)
        return header.ljust(_padded(len(header)), b"\0")

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The whole GGUF file, `size` bytes, tensor by tensor."""
        yield self._header
        for weight, *halves in self._outs:
            for half, out in zip("ab", halves, strict=True):
                array = np.empty(out.shape, _DTYPES[out.kind])
                self._fill(array, weight, half)
                yield array.data.cast("B")
                yield bytes(_padded(array.nbytes) - array.nbytes)

    def forget_pages(self) -> None:
        """Gives back the memory of what was read of the adapters' files."""
        for lora, _ in self._parts:
            lora.forget_pages()

    def _fill(self, target: NDArray[Any], weight: str, half: str) -> None:
        axis, at = _rank_axis(weight, half), 0
        for lora, factor in self._parts:
            if (pair := lora.pairs.get(weight)) is None:
                continue
            source = values(lora.data, pair.a if half == "a" else pair.b)
            end = at + source.shape[axis]
            share = 1.0 if half == "a" else factor * pair.scale / self.scale
            _put(source, target[at:end] if axis == 0 else target[:, at:end], share)
            at = end


def _rank_axis(weight: str, half: str) -> int:
    """The axis of the rank in numpy's order; llama.cpp keeps the A of the token embeddings transposed."""
    return 0 if half == "a" and weight != gguf.EMBEDDINGS else 1


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


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
