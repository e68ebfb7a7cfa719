"""A folder's LoRA → GGUF: what PEFT or MLX saved becomes a file that llama.cpp loads on a given backbone.

The file is the one that llama.cpp's own convert_lora_to_gguf.py makes, where that computes what PEFT does: of an
adapter whose scale differs among its weights (alpha_pattern, rank_pattern, rsLoRA) it knows one alpha alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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


def convert_lora(
    folder: Path, backbone: Path, out: Path, *, metadata: Mapping[str, str] = {}, half: bool = False
) -> str:
    """Writes the LoRA in a folder of PEFT's or MLX's as a GGUF adapter for a GGUF backbone, whole or not at all.

    `metadata` goes into the header as `general.*` (name, license, description); `half` writes f16 instead of f32.
    Returns what was left out, in a sentence; empty where nothing was. Raises `PackError` for a damaged folder or
    backbone, for adapters that do not fit each other, and for what a GGUF adapter cannot express; `InputError` where
    `out` cannot be written.
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
                _write(part, source, lora.pairs, _header(target, adapter.config, alpha, metadata), alpha, half)
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


def _write(part: Path, source: Safetensors, pairs: Sequence[Pair], writer: Any, alpha: float, half: bool) -> None:
    """Writes the file tensor by tensor: one of them is in memory at a time."""
    dtype = np.dtype(np.float16 if half else np.float32)
    for pair in pairs:
        for letter, shape in zip("ab", pair.shapes, strict=True):
            size = shape[0] * shape[1] * dtype.itemsize
            writer.add_tensor_info(f"{pair.weight.name}.lora_{letter}", shape, dtype, size)
    try:
        writer.write_header_to_file(part)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for pair in pairs:
            for name, values in _values(pair, source, alpha):
                writer.write_tensor_data(_as(dtype, values, name, source.path))
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


def _as(dtype: np.dtype[Any], values: NDArray[np.float32], name: str, path: Path) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype)
    if not np.isfinite(converted).all():
        raise PackError(
            f"{path}: {name} is too large for {dtype.itemsize * 8} bits. Convert it without half precision."
        )
    return converted
