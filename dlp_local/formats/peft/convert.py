"""PEFT → GGUF: a folder with a LoRA as PEFT saves it becomes a file that llama.cpp loads on a given backbone.

The file is the one that llama.cpp's own convert_lora_to_gguf.py makes, where that computes what PEFT does: of an
adapter whose scale differs among its weights (alpha_pattern, rank_pattern, rsLoRA) it knows one alpha alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import written_aside
from dlp_local.formats.gguf import EMBEDDINGS
from dlp_local.formats.peft.config import PeftConfig, read_config
from dlp_local.formats.peft.target import Place, Target
from dlp_local.formats.safetensors_file import Safetensors, open_safetensors

WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"

_HALF = re.compile(
    r"base_model\.model\.(?P<module>.+)\.(?:lora_(?P<linear>[AB])\.weight|lora_embedding_(?P<table>[AB]))"
)
_COPY = re.compile(r"base_model\.model\.(?P<module>.+)\.base_layer\.(?P<part>weight|bias)")
"""PEFT saves the backbone's own embeddings and output beside an adapter of theirs."""

_RESERVED = frozenset({"architecture", "type", "alignment"})


@dataclass(frozen=True, slots=True)
class _Pair:
    """What becomes of one module's A and B: `strength` / rank is its scale."""

    place: Place
    a: str
    b: str
    rank: int
    strength: float

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of lora_a and lora_b in the file, slowest dimension first; llama.cpp wants the embeddings' A transposed."""
        a, b = (self.rank, self.place.inputs), (self.place.outputs, self.rank)
        return ((self.place.outputs, self.rank), (self.place.inputs, self.rank)) if self.is_table else (a, b)

    @property
    def is_table(self) -> bool:
        """Whether this is the embeddings' pair: a table, in which outputs are tokens."""
        return self.place.weight == EMBEDDINGS


def convert_peft(folder: Path, backbone: Path, out: Path, *, about: Mapping[str, str] = {}, half: bool = False) -> None:
    """Writes the LoRA in a PEFT folder as a GGUF adapter for a GGUF backbone, whole or not at all.

    `about` goes into the header as `general.*` (name, license, description); `half` writes f16 instead of f32. Raises
    `PackError` for a damaged folder or backbone, for adapters that do not fit each other, and for what a GGUF adapter
    cannot express; `InputError` where `out` cannot be written.
    """
    if reserved := _RESERVED & set(about):
        raise InputError(f"general.{min(reserved)} is not free to choose. Leave it out.")
    config = read_config(folder)
    weights = folder / WEIGHTS
    if not weights.exists() and (folder / PICKLE).exists():
        raise PackError(
            f"{folder}: holds {PICKLE}, a pickle, which may run any program when it is read. "
            f"Get the adapter as {WEIGHTS}."
        )
    target = Target(backbone)
    with open_safetensors(weights) as source:
        pairs = _pairs(source, config, target)
        alpha = _common_strength(pairs, weights)
        try:
            with written_aside(out) as part:
                _write(part, source, pairs, _header(target, config, alpha, about), alpha, half)
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror or error}). Name another place.") from None


def _pairs(source: Safetensors, config: PeftConfig, target: Target) -> list[_Pair]:
    """What the file holds, checked against the backbone, by the name of the backbone's weight."""
    halves: dict[str, dict[str, str]] = {}
    others = []
    for name in source.shapes:
        if match := _HALF.fullmatch(name):
            halves.setdefault(match["module"], {})[match["linear"] or match["table"]] = name
        else:
            others.append(name)
    if not halves:
        raise PackError(f"{source.path}: holds no LoRA. Name the folder of a PEFT adapter.")
    pairs: dict[str, _Pair] = {}
    for module, both in halves.items():
        try:
            pair = _pair(module, both, source, config, target)
        except ValueError as error:
            raise _refused(source, module, str(error)) from None
        if pair.place.weight in pairs:
            raise _refused(source, module, f"another module is {pair.place.weight}, too")
        pairs[pair.place.weight] = pair
    for name in others:
        if not _is_copy(name, source, target):
            raise _refused(source, name, _reason(name))
    return [pairs[weight] for weight in sorted(pairs)]


def _pair(module: str, both: Mapping[str, str], source: Safetensors, config: PeftConfig, target: Target) -> _Pair:
    if len(both) < 2:
        raise ValueError("only one of A and B is there")
    place = target.place(module)
    rank = config.rank(module)
    pair = _Pair(place, both["A"], both["B"], rank, config.strength(module))
    a, b = source.shapes[pair.a], source.shapes[pair.b]
    inputs, outputs = (place.outputs, place.inputs) if pair.is_table else (place.inputs, place.outputs)
    if a != (rank, inputs) or b != (outputs, rank):
        raise ValueError(
            f"A {a} and B {b} are not of rank {rank} for {place.weight} with {inputs} inputs and {outputs} outputs"
        )
    if pair.is_table != ("lora_embedding_" in pair.a) or pair.is_table != ("lora_embedding_" in pair.b):
        raise ValueError(f"it is not saved as the adapter of {place.weight} is")
    return pair


def _is_copy(name: str, source: Safetensors, target: Target) -> bool:
    """Whether a tensor is the backbone's own weight, as far as its shape tells."""
    if not (match := _COPY.fullmatch(name)):
        return False
    try:
        place = target.place(match["module"])
    except ValueError:
        return False
    return source.shapes[name] == ((place.outputs, place.inputs) if match["part"] == "weight" else (place.outputs,))


def _reason(name: str) -> str:
    if "lora_magnitude_vector" in name:
        return "it is the magnitude of a DoRA, which a GGUF adapter has no place for"
    if name.endswith(".bias"):
        return "it is a bias, which a GGUF adapter has no place for"
    if "embed_tokens" in name or "lm_head" in name or _COPY.fullmatch(name):
        return "it is a whole weight, as of a backbone with tokens added, and a GGUF adapter holds LoRA alone"
    return "it is neither A nor B of a LoRA"


def _refused(source: Safetensors, name: str, reason: str) -> PackError:
    return PackError(f"{source.path}: cannot be converted: {name}: {reason}. Use an adapter made for this backbone.")


def _common_strength(pairs: Sequence[_Pair], path: Path) -> float:
    """The alpha of the file: the one that most weights have, so that their B stays as it is."""
    counted = Counter(pair.strength for pair in pairs if np.float32(pair.strength))
    if not counted:
        raise PackError(f"{path}: has the alpha 0 and so changes nothing. Use another adapter.")
    return counted.most_common(1)[0][0]


def _header(target: Target, config: PeftConfig, alpha: float, about: Mapping[str, str]) -> Any:
    """A writer with everything but the tensors in its header."""
    import gguf

    writer = gguf.GGUFWriter(None, target.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    if config.invocation_tokens:
        kind = gguf.GGUFValueType
        writer.add_key_value(
            "adapter.alora.invocation_tokens", list(config.invocation_tokens), kind.ARRAY, sub_type=kind.UINT32
        )
    for key, value in about.items():
        writer.add_string(f"general.{key}", value)
    return writer


def _write(part: Path, source: Safetensors, pairs: Sequence[_Pair], writer: Any, alpha: float, half: bool) -> None:
    """Writes the file tensor by tensor: one of them is in memory at a time."""
    dtype = np.dtype(np.float16 if half else np.float32)
    for pair in pairs:
        for letter, shape in zip("ab", pair.shapes, strict=True):
            size = shape[0] * shape[1] * dtype.itemsize
            writer.add_tensor_info(f"{pair.place.weight}.lora_{letter}", shape, dtype, size)
    try:
        writer.write_header_to_file(part)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for pair in pairs:
            for name, values in _values(pair, source, alpha):
                writer.write_tensor_data(_as(dtype, values, name, source.path))
    finally:
        writer.close()


def _values(pair: _Pair, source: Safetensors, alpha: float) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The file's lora_a and lora_b of one weight; what its scale differs by from the file's goes into B."""
    a, b = source.read(pair.a), source.read(pair.b)
    yield pair.a, a.T if pair.is_table else a
    if pair.place.rows is not None:
        b = b[pair.place.rows]
    yield pair.b, b if pair.strength == alpha else b * np.float32(pair.strength / alpha)


def _as(dtype: np.dtype[Any], values: NDArray[np.float32], name: str, path: Path) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype)
    if not np.isfinite(converted).all():
        raise PackError(
            f"{path}: {name} is too large for {dtype.itemsize * 8} bits. Convert it without half precision."
        )
    return converted
