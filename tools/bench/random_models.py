"""Backbones and adapters of real shapes with random weights: for speed and memory their numbers do not matter.

The vocabulary comes from llama.cpp's own tree: `vendor/llama.cpp/models/ggml-vocab-qwen2.gguf` in the source
distribution of llama-cpp-python (`pip download --no-binary :all: --no-deps llama-cpp-python`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Quant

from dlp_local.core.files import written_aside
from dlp_local.core.paths import packs_folder
from dlp_local.core.values import AdapterChange
from dlp_local.packs.adapters import add_adapter
from dlp_local.packs.create import start_pack
from dlp_local.packs.manifest import read_manifest

_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a Qwen2 model (arXiv 2412.15115, table 1)."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int

    def matrices(self) -> dict[str, tuple[int, int]]:
        """The seven weights of a layer as (out, in)."""
        kv = self.width // self.heads * self.kv_heads
        return {
            "attn_q": (self.width, self.width),
            "attn_k": (kv, self.width),
            "attn_v": (kv, self.width),
            "attn_output": (self.width, self.width),
            "ffn_gate": (self.ffn, self.width),
            "ffn_up": (self.ffn, self.width),
            "ffn_down": (self.width, self.ffn),
        }


SHAPES = {
    "0.5B": Shape("Qwen2.5-0.5B", 896, 24, 14, 2, 4864),
    "1.5B": Shape("Qwen2.5-1.5B", 1536, 28, 12, 2, 8960),
}
QUANTS = {"Q4_0": Quant.Q4_0, "Q8_0": Quant.Q8_0}


def _random_blocks(rng: np.random.Generator, shape: tuple[int, int], quant: Quant) -> np.ndarray:
    """A quantized matrix with values of about 1/√in, its blocks drawn at random as bytes."""
    blocks = math.prod(shape) // _BLOCK
    bytes_of_values = {Quant.Q4_0: 16, Quant.Q8_0: 32}[quant]
    largest = {Quant.Q4_0: 8, Quant.Q8_0: 127}[quant]
    raw = np.empty((blocks, 2 + bytes_of_values), np.uint8)
    raw[:, :2] = np.full(blocks, 1.7 / largest / math.sqrt(shape[1]), "<f2").view(np.uint8).reshape(-1, 2)
    raw[:, 2:] = rng.integers(0, 256, (blocks, bytes_of_values), np.uint8)
    return raw.reshape(shape[0], -1)


def _vocabulary(path: Path) -> Iterator[tuple[str, object, gguf.GGUFValueType, gguf.GGUFValueType | None]]:
    for key, field in gguf.GGUFReader(path).fields.items():
        if key.startswith("tokenizer."):
            yield key, field.contents(), field.types[0], field.types[-1] if len(field.types) > 1 else None


def write_backbone(path: Path, vocabulary: Path, shape: Shape, quant: str, context: int = 32_768) -> None:
    """Writes a Qwen2 backbone with tied embeddings."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name(f"{shape.name}, random weights")
    writer.add_context_length(context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    tokens = 0
    for key, value, kind, element in _vocabulary(vocabulary):
        writer.add_key_value(key, value, kind, sub_type=element)
        if key == "tokenizer.ggml.tokens" and isinstance(value, list):
            tokens = len(value)

    def matrix(name: str, size: tuple[int, int]) -> None:
        writer.add_tensor(name, _random_blocks(rng, size, QUANTS[quant]), raw_dtype=QUANTS[quant])

    matrix("token_embd.weight", (tokens, shape.width))
    writer.add_tensor("output_norm.weight", np.ones(shape.width, np.float32))
    for layer in range(shape.layers):
        prefix = f"blk.{layer}"
        for name, size in shape.matrices().items():
            matrix(f"{prefix}.{name}.weight", size)
            if name in ("attn_q", "attn_k", "attn_v"):
                writer.add_tensor(f"{prefix}.{name}.bias", np.zeros(size[0], np.float32))
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{prefix}.{norm}.weight", np.ones(shape.width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_adapter(path: Path, shape: Shape, rank: int, weights: tuple[str, ...] | None, seed: int) -> None:
    """Writes an f16 LoRA on some weights of each layer (None: all seven)."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 2.0 * rank)
    for layer in range(shape.layers):
        for name, (out, inputs) in shape.matrices().items():
            if weights is None or name in weights:
                a = rng.normal(0, 1 / math.sqrt(inputs), (rank, inputs)).astype(np.float16)
                b = rng.normal(0, 0.01, (out, rank)).astype(np.float16)
                writer.add_tensor(f"blk.{layer}.{name}.weight.lora_a", a)
                writer.add_tensor(f"blk.{layer}.{name}.weight.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


ADAPTERS = {"r16, all seven weights": (16, None), "r8, q and v": (8, ("attn_q", "attn_v"))}
"""Kinds of adapters: rank and weights."""


@dataclass(frozen=True, slots=True)
class Models:
    """A backbone and adapters of one kind."""

    backbone: Path
    adapters: tuple[Path, ...]


def write_all(out: Path, vocabulary: Path, shape: str, quant: str, adapters: str, count: int) -> Models:
    """Writes a backbone and `count` adapters where they are not there yet."""
    rank, weights = ADAPTERS[adapters]
    folder = out / f"{shape}-{quant}"
    backbone, kind = folder / "backbone.gguf", folder / f"r{rank}"
    kind.mkdir(parents=True, exist_ok=True)
    if not backbone.exists():
        with written_aside(backbone) as part:
            write_backbone(part, vocabulary, SHAPES[shape], quant)
    paths = tuple(kind / f"a{i}.gguf" for i in range(count))
    for i, path in enumerate(paths):
        if not path.exists():
            with written_aside(path) as part:
                write_adapter(part, SHAPES[shape], rank, weights, i)
    return Models(backbone, paths)


def open_shape(out: Path, vocabulary: Path, shape: str, count: int) -> Path:
    """A pack of a shape in Q4_0 with `count` adapters of rank 16 on all weights; made where it is not there yet.

    It lies among packs of its own: from now on this process and its children have their data under `out`.
    """
    models = write_all(out, vocabulary, shape, "Q4_0", "r16, all seven weights", count)
    os.environ["DLP_LOCAL_DATA"] = str((out / "data").absolute())
    name = f"{shape.lower()}-{count}"
    folder = packs_folder() / name
    if not folder.exists():
        start_pack(name, models.backbone, {"license": "CC0-1.0"}, in_place=True)
    for path in models.adapters[len(read_manifest(folder).adapters) :]:
        add_adapter(folder, path, path.stem, AdapterChange(license="CC0-1.0"))
    return folder
