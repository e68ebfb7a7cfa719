"""Writes small LoRA files, sound and unsound ones, as GGUF by the `gguf` library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

Kind = gguf.GGMLQuantizationType


def write_lora(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    alpha: float | None = 32.0,
    kind: Kind = Kind.F16,
    arch: str = "llama",
    values: Mapping[str, object] | None = None,
) -> Path:
    """An adapter of these tensors (numpy order: A (rank, in), B (out, rank)); `values` go over the header's own."""
    writer = gguf.GGUFWriter(path, arch)
    header: dict[str, object] = {"general.type": "adapter", "adapter.type": "lora"}
    if alpha is not None:
        header["adapter.lora.alpha"] = float(alpha)
    for key, value in (header | dict(values or {})).items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif value is not None:
            writer.add_array(key, value)
    for name, array in tensors.items():
        if kind in (Kind.F16, Kind.F32):
            writer.add_tensor(name, array.astype(np.float16 if kind == Kind.F16 else np.float32))
        else:
            writer.add_tensor(name, gguf.quants.quantize(array.astype(np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_pairs(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a GGUF file as float32 in numpy's order."""
    reader = gguf.GGUFReader(path)
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        .reshape([int(n) for n in tensor.shape[::-1]])
        .astype(np.float32)
        for tensor in reader.tensors
    }
