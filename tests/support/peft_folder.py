"""PEFT folders and safetensors files written by hand, sound and unsound ones, without torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from dlp_local.core.errors import PackError
from dlp_local.formats.peft.convert import convert_lora

WIDTH, FFN, VOCAB, HEADS = 32, 48, 40, 4
PREFIX = "base_model.model.model.layers.0"
CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj"]}


def pair(module: str = "self_attn.q_proj", rank: int = 4, inputs: int = WIDTH, out: int = WIDTH) -> dict[str, Any]:
    """A and B of a linear module, as PEFT names them."""
    rng = np.random.default_rng(3)
    return {
        f"{PREFIX}.{module}.lora_A.weight": rng.normal(size=(rank, inputs)).astype(np.float32),
        f"{PREFIX}.{module}.lora_B.weight": rng.normal(size=(out, rank)).astype(np.float32),
    }


def safetensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """A whole file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in tensors.items():
        kind = {np.float32: "F32", np.float16: "F16", np.int64: "I64"}[array.dtype.type]
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    return with_header(json.dumps(header).encode(), data)


def with_header(header: bytes, data: bytes = b"") -> bytes:
    """A file with this header, whatever it says."""
    return struct.pack("<Q", len(header)) + header + data


def write_config(folder: Path, config: Mapping[str, Any]) -> Path:
    """The configuration of an adapter alone."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return folder


def write_folder(folder: Path, weights: bytes | None = None, **config: Any) -> Path:
    """A PEFT folder; `config` goes over a plain LoRA's."""
    write_config(folder, CONFIG | config)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(pair()) if weights is None else weights)
    return folder


def write_backbone(path: Path, *, arch: str = "llama", untied: bool = True, **values: int) -> Path:
    """A backbone of one layer, all zeros."""
    writer = gguf.GGUFWriter(path, arch)
    for key, value in ({"block_count": 1, "attention.head_count": HEADS} | values).items():
        writer.add_uint32(f"{arch}.{key}", value)
    shapes = {"token_embd": (VOCAB, WIDTH), "blk.0.ffn_up": (FFN, WIDTH), "blk.0.ffn_down": (WIDTH, FFN)}
    shapes |= {f"blk.0.attn_{kind}": (WIDTH, WIDTH) for kind in ("q", "k", "v", "output")}
    shapes |= {"output": (VOCAB, WIDTH)} if untied else {}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def refused(tmp_path: Path, backbone: Path, reason: str, **folder: Any) -> None:
    """A folder (`weights` and configuration as for `write_folder`) is refused with a reason, and no file is left."""
    with pytest.raises(PackError, match=reason):
        convert_lora(write_folder(tmp_path / "peft", **folder), backbone, tmp_path / "a.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.gguf", "peft"]
