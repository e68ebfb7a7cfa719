"""A LoRA's GGUF file, read and checked before llama.cpp sees it.

llama.cpp ends the whole process over a header value of another type than it expects, and computes with whatever
numbers it finds; so all that is looked at here first.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import PackError
from dlp_local.formats import gguf

_REQUIRED = {"general.type": "adapter", "adapter.type": "lora"}
_EXPONENT_16 = {gguf.F16: 0x7C00, gguf.BF16: 0x7F80}
"""The exponent bits of 16-bit floats; all of them are set in infinities and NaN."""

_NORM = "_norm.weight"
"""What the names of the tensors end with that llama.cpp passes over in an adapter."""

SHOWN_PROBLEMS = 5
_Q8_0_BLOCK = np.dtype([("scale", "<f2"), ("values", "i1", 32)])
_ONE_SCALE = frozenset({gguf.Q8_0, 2, 6})
"""Quantized types whose blocks begin with one half-precision scale; the others' begin with two."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A and B of one weight; ΔW = scale·B·A with `scale` = alpha / rank, or 1 where alpha is 0."""

    a: gguf.Tensor
    b: gguf.Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class LoraFile:
    """An adapter's file: where its pairs lie, by the name of the backbone's weight."""

    path: Path
    architecture: str
    invocation_tokens: tuple[int, ...]
    """Of an Activated LoRA (arXiv 2512.17910): it is on from their last occurrence. Else none."""

    alpha: float
    """As its header gives it; 0 stands for a scale of 1."""

    metadata: Mapping[str, str]
    """What else its header says in words, `general.license` say, by key."""

    pairs: Mapping[str, Pair]
    norms: tuple[str, ...]
    """The names of norm weights beside the LoRA, which llama.cpp passes over."""

    mapped: mmap.mmap = field(repr=False, compare=False)
    """The whole file as it was checked."""

    @property
    def size(self) -> int:
        """Bytes of all its tensors."""
        return sum(pair.a.size + pair.b.size for pair in self.pairs.values())

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of the file, mapped."""
        return np.frombuffer(self.mapped, np.uint8)

    def forget_pages(self) -> None:
        """Gives back the memory of what was read of the file; it is read again where it is asked for."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)


def values(data: NDArray[np.uint8], tensor: gguf.Tensor) -> NDArray[Any]:
    """A tensor of a mapped file in numpy's order (slowest first), in its own type; Q8_0 becomes float32, BF16 too.

    Raises `ValueError` for another type.
    """
    raw = data[tensor.offset : tensor.offset + tensor.size]
    shape = tensor.shape[::-1]
    match tensor.kind:
        case gguf.F32:
            return raw.view("<f4").reshape(shape)
        case gguf.F16:
            return raw.view("<f2").reshape(shape)
        case gguf.BF16:
            return (raw.view("<u2").astype("<u4") << 16).view("<f4").reshape(shape)
        case gguf.Q8_0:
            blocks = raw.view(_Q8_0_BLOCK)
            dequantized: NDArray[np.float32] = blocks["scale"][:, None].astype(np.float32) * blocks["values"]
            return dequantized.reshape(shape)
    raise ValueError(f"tensors of type {tensor.kind} are not read here")


def read_lora(path: Path) -> LoraFile:
    """Reads and checks an adapter's file; raises `PackError` that names the file, the reason and the next step."""
    header = gguf.read_header(path)
    if gguf.EMBEDDINGS in header.tensors:
        raise PackError(
            f"{path}: is a whole model, no LoRA. Start a pack with it: dlp-local pack create NAME --backbone FILE."
        )
    for key, wanted in _REQUIRED.items():
        entry = header.values.get(key)
        if entry is None or entry.kind != gguf.STRING or entry.is_array or entry.value != wanted:
            raise PackError(f"{path}: is no LoRA ({key} is not '{wanted}'). Name an adapter made as GGUF.")
    architecture = header.values.get("general.architecture")
    if architecture is None or architecture.kind != gguf.STRING or architecture.is_array:
        raise PackError(f"{path}: does not say what architecture it is for. Convert the adapter again.")
    alpha = header.values.get("adapter.lora.alpha", gguf.Value(gguf.FLOAT32, 0.0))
    if alpha.kind != gguf.FLOAT32 or alpha.is_array or not np.isfinite(float(str(alpha.value))):
        raise PackError(f"{path}: its alpha is no number. Convert the adapter again.")
    invocation = header.values.get("adapter.alora.invocation_tokens", gguf.Value(gguf.UINT32, (), True))
    if invocation.kind != gguf.UINT32 or not invocation.is_array:
        raise PackError(f"{path}: its invocation tokens are no list of uint32. Convert the adapter again.")
    strength = float(str(alpha.value))
    pairs = _pairs(path, header, strength)
    metadata = {
        key: str(entry.value)
        for key, entry in header.values.items()
        if key.startswith("general.") and entry.kind == gguf.STRING and not entry.is_array
    }
    tokens = tuple(invocation.value) if isinstance(invocation.value, tuple) else ()
    mapped = _mapped(path)
    norms = tuple(name for name in header.tensors if name.endswith(_NORM))
    lora = LoraFile(path, str(architecture.value), tokens, strength, metadata, pairs, norms, mapped)
    _check_finite(lora)
    lora.forget_pages()
    return lora


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack and the file's rights.") from None
    except ValueError:
        raise PackError(f"{path}: became empty while it was read. Get the adapter again.") from None


def left_out(norms: Sequence[str]) -> str:
    """What is said of norm weights beside a LoRA; empty where there are none."""
    if not norms:
        return ""
    more = f" and {len(norms) - 1} more" if len(norms) > 1 else ""
    return f"left out: {norms[0]}{more}, for llama.cpp takes the weights of norms from no adapter"


def check_fits(lora: LoraFile, backbone: gguf.Header) -> None:
    """Raises `PackError` that says why an adapter does not fit a backbone."""
    if reason := reasons(problems_of_fit(lora, backbone)):
        raise PackError(f"{lora.path}: does not fit the backbone: {reason}. Use an adapter made for it.")


def problems_of_fit(lora: LoraFile, backbone: gguf.Header) -> list[str]:
    """Why an adapter does not fit a backbone: architecture, names and shapes of weights, invocation tokens.

    The rules of shapes are those of llama.cpp's `llama_adapter_lora_init`: A takes the weight's inputs, B gives its
    outputs; for the embeddings the other way round. One thing llama.cpp would load, and then end the process over:
    where a backbone has no output of its own, it computes it with the embeddings, and their adapter with it.
    """
    problems = []
    architecture = backbone.values.get("general.architecture")
    if architecture and lora.architecture != architecture.value:
        problems.append(f"it is for the architecture {lora.architecture}, and the backbone is {architecture.value}")
    for name, pair in lora.pairs.items():
        weight = backbone.tensors.get(name)
        if weight is None:
            problems.append(f"the backbone has no weight {name}")
            continue
        ends = (pair.b.shape[1], pair.a.shape[1]) if name == gguf.EMBEDDINGS else (pair.a.shape[0], pair.b.shape[1])
        if ends != weight.shape:
            problems.append(f"{name} goes from {ends[0]} to {ends[1]} numbers, and the backbone's is {weight.shape}")
        elif name == gguf.EMBEDDINGS and gguf.OUTPUT not in backbone.tensors:
            problems.append(f"{name} is the backbone's output, too, and llama.cpp cannot compute an adapter of both")
    tokens = backbone.values.get("tokenizer.ggml.tokens")
    known = len(tokens.value) if tokens and isinstance(tokens.value, tuple) else 0
    if tokens and any(token >= known for token in lora.invocation_tokens):
        problems.append(f"its invocation tokens are {lora.invocation_tokens}, and the backbone knows {known} tokens")
    return problems


def reasons(problems: Sequence[str]) -> str:
    """The first problems in a sentence; a foreign adapter has hundreds."""
    more = [f"and {len(problems) - SHOWN_PROBLEMS} more of the kind"] if len(problems) > SHOWN_PROBLEMS else []
    return "; ".join([*problems[:SHOWN_PROBLEMS], *more])


def _pairs(path: Path, header: gguf.Header, alpha: float) -> dict[str, Pair]:
    halves: dict[str, dict[str, gguf.Tensor]] = {}
    for name, tensor in header.tensors.items():
        weight, _, half = name.rpartition(".lora_")
        if half not in ("a", "b"):
            if name.endswith(_NORM):
                continue
            raise PackError(f"{path}: its tensor {name} is no part of a LoRA. Name an adapter made as GGUF.")
        if tensor.kind not in gguf.BLOCKS:
            raise PackError(f"{path}: its tensor {name} has type {tensor.kind}, which cannot be used. Use f16.")
        halves.setdefault(weight, {})[half] = tensor
    if not halves:
        raise PackError(f"{path}: holds no LoRA tensors. Convert the adapter again.")
    pairs = {}
    for weight, both in halves.items():
        if len(both) < 2:
            raise PackError(f"{path}: {weight} has only one of lora_a and lora_b. Get or convert the adapter again.")
        if weight.endswith("_exps.weight"):
            raise PackError(f"{path}: {weight} is a mixture of experts, whose adapters are not supported.")
        a, b = both["a"], both["b"]
        rank = b.shape[0]
        a_rank = a.shape[0] if weight == gguf.EMBEDDINGS else a.shape[-1]
        if len(a.shape) != len(b.shape) or len(a.shape) != 2 or a_rank != rank:
            raise PackError(f"{path}: the shapes of {weight}, {a.shape} and {b.shape}, do not go together.")
        pairs[weight] = Pair(a, b, alpha / rank if alpha else 1.0)
    return pairs


def _check_finite(lora: LoraFile) -> None:
    for weight, pair in lora.pairs.items():
        for half, tensor in (("a", pair.a), ("b", pair.b)):
            if not _is_finite(lora.data[tensor.offset : tensor.offset + tensor.size], tensor.kind):
                raise PackError(f"{lora.path}: {weight}.lora_{half} holds NaN or infinity. Train the adapter again.")


def _is_finite(raw: NDArray[np.uint8], kind: int) -> bool:
    if kind == gguf.F32:
        return bool(np.isfinite(raw.view("<f4")).all())
    bits = _EXPONENT_16.get(kind, _EXPONENT_16[gguf.F16])
    numbers = raw.view("<u2") if kind in _EXPONENT_16 else _scales(raw, kind)
    return not bool(((numbers & bits) == bits).any())


def _scales(raw: NDArray[np.uint8], kind: int) -> NDArray[np.uint16]:
    """The half-precision scales of a quantized tensor's blocks, as bits; with a minimum they have two."""
    size = gguf.BLOCKS[kind][1]
    count = 1 if kind in _ONE_SCALE else 2
    return np.ascontiguousarray(raw.reshape(-1, size)[:, : 2 * count]).view("<u2")
