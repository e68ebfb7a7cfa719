"""A folder's LoRA → GGUF: what PEFT or MLX saved becomes a file that llama.cpp loads on a given backbone.

The file is the one that llama.cpp's own convert_lora_to_gguf.py makes, where that computes what PEFT does: of an
adapter whose scale differs among its weights (alpha_pattern, rank_pattern, rsLoRA) it knows one alpha alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import written_aside
from dlp_local.formats.lora import left_out
from dlp_local.formats.peft.config import LoraConfig
from dlp_local.formats.peft.folder import read_folder
from dlp_local.formats.peft.pairs import Pair, find_pairs
from dlp_local.formats.peft.target import Target
from dlp_local.formats.safetensors_file import Safetensors, open_safetensors

_RESERVED = frozenset({"architecture", "type", "alignment"})

Precision = Literal["f32", "f16", "q8_0"]
_BLOCK = 32
"""Numbers that share a scale in Q8_0; a row of fewer, or of a part of one, is written as f16."""


def convert_lora(
    folder: Path, backbone: Path, out: Path, *, metadata: Mapping[str, str] = {}, precision: Precision = "f32"
) -> str:
    """Writes the LoRA in a folder of PEFT's or MLX's as a GGUF adapter for a GGUF backbone, whole or not at all.

    `metadata` goes into the header as `general.*` (name, license, description). With `q8_0` the weights are rounded to
    8 bits where their rows allow it, as A's mostly do and B's of small ranks do not; the others are f16. Returns what
    was left out, in a sentence; empty where nothing was. Raises `PackError` for a damaged folder or backbone, for
    adapters that do not fit each other, and for what a GGUF adapter cannot express; `InputError` where `out` cannot be
    written.
    """
    if reserved := _RESERVED & set(metadata):
        raise InputError(f"general.{min(reserved)} is not free to choose. Leave it out.")
    adapter = read_folder(folder)
    target = Target(backbone)
    with open_safetensors(adapter.weights) as source:
        lora = find_pairs(source, adapter.config, target)
        alpha = _common_strength(lora.pairs, source.path)
        try:
            with written_aside(out) as part:
                _write(part, source, lora.pairs, _header(target, adapter.config, alpha, metadata), alpha, precision)
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror or error}). Name another place.") from None
    return left_out(lora.norms)


def _common_strength(pairs: Sequence[Pair], path: Path) -> float:
    """The alpha of the file: the one that most weights have, so that their B stays as it is."""
    counted = Counter(pair.strength for pair in pairs if np.float32(pair.strength))
    if not counted:
        raise PackError(f"{path}: has the alpha 0 and so changes nothing. Use another adapter.")
    return counted.most_common(1)[0][0]


def _header(target: Target, config: LoraConfig, alpha: float, metadata: Mapping[str, str]) -> Any:
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
    for key, value in metadata.items():
        writer.add_string(f"general.{key}", value)
    return writer


def _write(
    part: Path, source: Safetensors, pairs: Sequence[Pair], writer: Any, alpha: float, precision: Precision
) -> None:
    """Writes the file tensor by tensor: one of them is in memory at a time."""
    import gguf

    for pair in pairs:
        for letter, (rows, columns) in zip("ab", pair.shapes, strict=True):
            kind = _kind(precision, columns)
            block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
            size = rows * columns // block * block_bytes
            writer.add_tensor_info(f"{pair.weight.name}.lora_{letter}", (rows, columns), np.float32, size, kind)
    try:
        writer.write_header_to_file(part)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for pair in pairs:
            for name, values in _values(pair, source, alpha):
                writer.write_tensor_data(_as(_kind(precision, values.shape[1]), values, name, source.path))
    finally:
        writer.close()


def _values(pair: Pair, source: Safetensors, alpha: float) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The file's lora_a and lora_b of one weight; what its scale differs by from the file's goes into B."""
    a, b = source.read(pair.a), source.read(pair.b)
    if pair.is_transposed:
        a, b = a.T, b.T
    yield pair.a, a.T if pair.is_table else a
    if pair.weight.rows is not None:
        b = b[pair.weight.rows]
    yield pair.b, b if pair.strength == alpha else b * np.float32(pair.strength / alpha)


def _kind(precision: Precision, columns: int) -> Any:
    """The type of a tensor whose rows have so many numbers."""
    import gguf

    is_whole = columns % _BLOCK == 0
    return gguf.GGMLQuantizationType["F16" if precision == "q8_0" and not is_whole else precision.upper()]


def _as(kind: Any, values: NDArray[np.float32], name: str, path: Path) -> NDArray[Any]:
    """A tensor in a type of GGUF's; raises `PackError` for numbers that it cannot hold."""
    import gguf

    bits = 32 if kind == gguf.GGMLQuantizationType.F32 else 16
    if not (np.abs(values) <= np.finfo(f"f{bits // 8}").max).all():
        raise PackError(f"{path}: {name} is too large for {bits} bits. Convert it without half precision.")
    return np.ascontiguousarray(gguf.quantize(np.ascontiguousarray(values, np.float32), kind))
