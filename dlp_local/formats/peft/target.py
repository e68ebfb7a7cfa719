"""Where the weights of a PEFT adapter lie in a backbone: names, shapes and the order of rows, by its own header.

Names: the `gguf` package's tensor name maps. Orders: llama.cpp's conversion of each architecture, which the rows of an
adapter's B follow as those of the weight itself do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import EMBEDDINGS, OUTPUT, read_header

MAX_LAYERS = 1024

_MATRICES = frozenset(
    "attn_q attn_k attn_v attn_qkv attn_output ffn_gate ffn_up ffn_down shortconv.in_proj shortconv.out_proj".split()
)
"""The weights of a layer that llama.cpp computes adapters for, in every architecture named below."""

_WRAPPERS = re.compile(r"\b(?:language_model|text_model)\.")
"""What a model with pictures or sound puts before the names of its language model; GGUF leaves it out."""

Rows = NDArray[np.intp]
Order = Callable[[Rows, int, int], Rows]
"""(rows as transformers has them, heads, heads of K and V) → as llama.cpp has them."""


def _neighboring_pairs(rows: Rows, heads: int, _: int) -> Rows:
    """From rotated halves of a head to rotated neighbors."""
    return rows.reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def _neighboring_pairs_of_k(rows: Rows, _: int, kv_heads: int) -> Rows:
    return _neighboring_pairs(rows, kv_heads, kv_heads)


def _heads_last(rows: Rows, heads: int, _: int) -> Rows:
    """From Q, K and V of each head to all of Q, all of K, all of V."""
    return rows.reshape(heads, 3, -1).swapaxes(0, 1).reshape(-1)


def _groups_last(rows: Rows, heads: int, kv_heads: int) -> Rows:
    """From groups of queries, each with its K and V, to all of Q, all of K, all of V."""
    groups = rows.reshape(kv_heads, heads // kv_heads + 2, -1)
    return np.concatenate([part.reshape(-1) for part in (groups[:, :-2], groups[:, -2], groups[:, -1])])


_PLAIN = (
    "cohere2 command-r ernie4_5 exaone4 gemma gemma2 gemma3 gpt2 hunyuan-dense lfm2 nemotron olmo2 phi2 phi3 qwen2 "
    "qwen3 qwen3moe seed_oss stablelm starcoder2"
)
_ROTARY: Mapping[str, Order] = {"attn_q": _neighboring_pairs, "attn_k": _neighboring_pairs_of_k}
_FUSED: Mapping[str, Order] = {"attn_qkv": _heads_last}
_ORDERS: Mapping[str, Mapping[str, Order]] = {
    **{architecture: {} for architecture in _PLAIN.split()},
    **dict.fromkeys(("arcee", "granite", "llama", "mistral3", "olmo", "smollm3"), _ROTARY),
    **dict.fromkeys(("bloom", "gptneox"), _FUSED),
    "falcon": {"attn_qkv": _groups_last},
}
"""Architecture → the weights whose rows llama.cpp has in another order than transformers."""

ARCHITECTURES = tuple(sorted(_ORDERS))
"""Those that PEFT adapters can be converted for: each is compared with PEFT's own numbers in tests/formats/peft/."""


@dataclass(frozen=True, slots=True)
class BackboneWeight:
    """A backbone's weight: its GGUF name, its inputs and outputs, and the order in which llama.cpp has the outputs."""

    name: str
    inputs: int
    outputs: int
    rows: Rows | None = None


class Target:
    """A backbone to convert adapters for; raises `PackError` for one of an architecture that is not known here."""

    def __init__(self, path: Path) -> None:
        import gguf

        self.path = path
        self._header = read_header(path)
        architecture = self._header.values.get("general.architecture")
        self.architecture = str(architecture.value) if architecture else ""
        if self.architecture not in _ORDERS:
            raise PackError(
                f"{path}: adapters for the architecture {self.architecture[:64]!a} are not converted here; known are "
                f"{', '.join(ARCHITECTURES)}. Convert the adapter with llama.cpp's convert_lora_to_gguf.py."
            )
        layers = self._number("block_count", MAX_LAYERS)
        arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == self.architecture)
        self._names = gguf.get_tensor_name_map(arch, layers)

    @property
    def is_tied(self) -> bool:
        """Whether the output is computed with the embeddings' own weight."""
        return OUTPUT not in self._header.tensors

    def _number(self, key: str, largest: int, layer: int | None = None) -> int:
        entry = self._header.values.get(f"{self.architecture}.{key}")
        value = entry.value if entry else None
        if isinstance(value, tuple) and layer is not None and layer < len(value):
            value = value[layer]
        if type(value) is not int or not 1 <= value <= largest:
            raise PackError(f"{self.path}: its {self.architecture}.{key} is no number up to {largest}. Get it again.")
        return value

    def stem(self, module: str) -> str | None:
        """The GGUF name of a module's weights, without `.weight`; trainers add or drop the model's outermost name."""
        name = _WRAPPERS.sub("", module)
        inner = name.removeprefix("transformer.").removeprefix("model.")
        written = (name, inner, f"model.{name}", f"transformer.{name}")
        return next((stem for candidate in written if (stem := self._names.get_name(candidate))), None)

    def is_norm(self, module: str) -> bool:
        """Whether a module is a norm of this architecture: llama.cpp takes no norm's weights from an adapter."""
        return (self.stem(module) or "").endswith("_norm")

    def weight(self, module: str) -> BackboneWeight:
        """The weight of a module, named as in transformers (`model.layers.0.mlp.up_proj`).

        Raises `ValueError` with the reason where this backbone has no such weight, or llama.cpp no adapters for it.
        """
        name, stem = _WRAPPERS.sub("", module), self.stem(module)
        if self.is_tied and (stem in ("token_embd", "output") or name == "lm_head"):
            raise ValueError("embeddings and output are one weight in this backbone, and an adapter would change both")
        if stem is None and ".experts" in name:
            raise ValueError("it belongs to an expert of a mixture, whose adapters are not supported")
        if stem is None:
            raise ValueError(f"a backbone of the architecture {self.architecture} has no such weight")
        weight = f"{stem}.weight"
        layer, kind = _split(stem)
        if kind not in _MATRICES and weight not in (EMBEDDINGS, OUTPUT):
            raise ValueError(f"adapters of {weight} are not known here")
        if (tensor := self._header.tensors.get(weight)) is None:
            raise ValueError(f"this backbone has no {weight}")
        if len(tensor.shape) != 2:
            raise ValueError(f"{weight} is no matrix in this backbone")
        inputs, outputs = tensor.shape
        order = _ORDERS[self.architecture].get(kind)
        return BackboneWeight(weight, inputs, outputs, self._rows(order, outputs, layer) if order else None)

    def _rows(self, order: Order, outputs: int, layer: int) -> Rows:
        heads = self._number("attention.head_count", 1 << 16, layer)
        has_kv = f"{self.architecture}.attention.head_count_kv" in self._header.values
        kv_heads = self._number("attention.head_count_kv", heads, layer) if has_kv else heads
        try:
            return order(np.arange(outputs), heads, kv_heads)
        except ValueError:
            raise ValueError(f"{outputs} outputs are not to be divided among {heads} and {kv_heads} heads") from None


def _split(stem: str) -> tuple[int, str]:
    """The layer and the kind of a weight: `blk.3.attn_q` → 3, `attn_q`; 0 and itself for one outside the layers."""
    match = re.fullmatch(r"blk\.(\d+)\.(.+)", stem)
    return (int(match[1]), match[2]) if match else (0, stem)
