"""A frozen Llama from a GGUF file, computed under several LoRA adapters at once.

The weights are those that run: dequantized, so that an adapter learns to mend what quantization broke (CA-LoRA, arXiv
2307.07705). One pass over the backbone serves every adapter in training (mLoRA, arXiv 2312.02515): the batch is cut
into slots, each slot has its own A and B, and all slots share the matrix products with the frozen weights.

Adapters are trained as they run (Activated LoRA, arXiv 2512.17910): what stands before the last user's turn is a
prefix, computed by the bare backbone and without gradient; every token after it is the adapter's.

Shapes: S slots, R rows in all (R / S a slot), L tokens a row, P tokens of prefix, D hidden numbers, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import torch
from torch.nn import functional

Tensor = Any
KeyValues = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (rows, key-value heads, tokens, head size)."""

GROUPS = ("qkv", "output", "gate_up", "down")
"""The products of a layer, as they are computed: Q, K and V at once, gate and up at once."""


class Shape(NamedTuple):
    """The sizes of a Llama."""

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head: int
    theta: float
    epsilon: float

    def outputs(self, group: str) -> dict[str, int]:
        """The weights of a group, by PEFT's names in their order, and how many numbers each gives."""
        kv = self.kv_heads * self.head
        return {
            "qkv": {"self_attn.q_proj": self.heads * self.head, "self_attn.k_proj": kv, "self_attn.v_proj": kv},
            "output": {"self_attn.o_proj": self.hidden},
            "gate_up": {"mlp.gate_proj": self.feed_forward, "mlp.up_proj": self.feed_forward},
            "down": {"mlp.down_proj": self.hidden},
        }[group]

    def inputs(self, group: str) -> int:
        """How many numbers a group's product takes."""
        sizes = {
            "qkv": self.hidden,
            "output": self.heads * self.head,
            "gate_up": self.hidden,
            "down": self.feed_forward,
        }
        return sizes[group]


class Low(NamedTuple):
    """The adapters of one group of one layer: A (S, r, inputs) and B (S, outputs, r), B with the scale in it."""

    a: Tensor
    b: Tensor


class Layer(NamedTuple):
    """The frozen weights of a layer, those of a group one above the other: (outputs, inputs)."""

    attention_norm: Tensor
    qkv: Tensor
    output: Tensor
    feed_forward_norm: Tensor
    gate_up: Tensor
    down: Tensor


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMSNorm in float32."""
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def product(x: Tensor, weight: Tensor, low: Low | None, keep: Tensor | None) -> Tensor:
    """W·x, and B·A·x of each slot where there are adapters.

    `x` (S, tokens, inputs) → (S, tokens, outputs). `keep` (S, 1, 1): the share of x that A sees (dropout), or None.
    """
    base = functional.linear(x, weight)
    if low is None:
        return base
    if keep is not None:
        x = x * ((torch.rand_like(x, dtype=torch.float32) < keep) / keep).to(x.dtype)
    return torch.baddbmm(base, torch.bmm(x, low.a.mT), low.b.mT)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (RoFormer, arXiv 2104.09864) on the halves of each head.

    `x` (rows, heads, tokens, head), `cos` and `sin` (rows, 1, tokens, head).
    """
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), -1)
    return x * cos + turned * sin


def before_attention(
    h: Tensor, cos: Tensor, sin: Tensor, layer: Layer, low: Low | None, keep: Tensor | None, shape: Shape
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (R, heads, L, head) of h (S, R / S · L, D)."""
    x = norm(h, layer.attention_norm, shape.epsilon).to(layer.qkv.dtype)
    rows, _, length, _ = cos.shape
    heads = product(x, layer.qkv, low, keep).view(rows, length, -1, shape.head).transpose(1, 2)
    q, k, v = heads.split((shape.heads, shape.kv_heads, shape.kv_heads), 1)
    return rotate(q, cos, sin), rotate(k, cos, sin), v.contiguous()


def after_attention(
    h: Tensor,
    attended: Tensor,
    layer: Layer,
    output: Low | None,
    gate_up: Low | None,
    down: Low | None,
    keep: Tensor | None,
    shape: Shape,
) -> Tensor:
    """The rest of a layer: h (S, R / S · L, D) and attended (R, heads, L, head) → h."""
    x = attended.transpose(1, 2).reshape(*h.shape[:2], -1)
    h = h + product(x, layer.output, output, keep)
    x = norm(h, layer.feed_forward_norm, shape.epsilon).to(layer.gate_up.dtype)
    gate, up = product(x, layer.gate_up, gate_up, keep).chunk(2, -1)
    return h + product(functional.silu(gate) * up, layer.down, down, keep)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention with grouped keys: q (R, heads, L, head), k and v (R, kv heads, T, head), bias (R, 1, L, T) added."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    return functional.scaled_dot_product_attention(q, k, v, bias.expand(-1, q.shape[1], -1, -1))


Attention = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, queries, keys, values) → what is attended to: how keys of earlier tokens come in is the caller's."""


class Backbone:
    """The frozen weights and their forward pass.

    Raises `ValueError` where the GGUF is not of a plain Llama.
    """

    def __init__(self, path: Path, device: str = "cpu", dtype: Any = torch.float32) -> None:
        reader = gguf.GGUFReader(path)
        self.device, self.dtype = device, dtype
        self.shape = _shape(reader)
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        if (
            extra := {name for name in tensors if name.endswith(".bias") or "_exps" in name or "_norm.weight" in name}
            - {f"blk.{i}.{part}_norm.weight" for i in range(self.shape.layers) for part in ("attn", "ffn")}
            - {"output_norm.weight"}
        ):
            raise ValueError(f"{path}: not a plain Llama, it has {min(extra)}")

        def read(name: str, kind: Any = dtype) -> Tensor:
            tensor = tensors[name]
            values = gguf.dequantize(tensor.data, tensor.tensor_type)
            return torch.from_numpy(np.array(values, np.float32)).to(device, kind)

        def rows(name: str, heads: int) -> Tensor:
            """Q's or K's rows, from neighboring pairs, as llama.cpp rotates them, to the halves of each head."""
            weight = read(name)
            return weight.view(heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)

        self.embeddings = read("token_embd.weight")
        self.unembeddings = read("output.weight") if "output.weight" in tensors else self.embeddings
        self.norm = read("output_norm.weight", torch.float32)
        self.layers = [
            Layer(
                read(f"blk.{i}.attn_norm.weight", torch.float32),
                torch.cat(
                    (
                        rows(f"blk.{i}.attn_q.weight", self.shape.heads),
                        rows(f"blk.{i}.attn_k.weight", self.shape.kv_heads),
                        read(f"blk.{i}.attn_v.weight"),
                    )
                ),
                read(f"blk.{i}.attn_output.weight"),
                read(f"blk.{i}.ffn_norm.weight", torch.float32),
                torch.cat((read(f"blk.{i}.ffn_gate.weight"), read(f"blk.{i}.ffn_up.weight"))),
                read(f"blk.{i}.ffn_down.weight"),
            )
            for i in range(self.shape.layers)
        ]
        self.before, self.after = before_attention, after_attention

    def compile(self) -> None:
        """Fuses what a layer does around its attention (once, for all layers are alike)."""
        self.before, self.after = torch.compile(before_attention), torch.compile(after_attention)

    def hidden(
        self,
        ids: Tensor,
        positions: Tensor,
        attention: Attention,
        lows: Sequence[dict[str, Low]] | None = None,
        keep: Tensor | None = None,
        slots: int = 1,
    ) -> Tensor:
        """The last hidden numbers (R, L, D), normed: of `ids` and `positions` (R, L), `lows` by layer and group."""
        before, after = (self.before, self.after) if keep is not None else (before_attention, after_attention)
        rows, length = ids.shape
        half = self.shape.head // 2
        rates = self.shape.theta ** (-torch.arange(half, device=ids.device, dtype=torch.float32) / half)
        angles = (positions.float()[..., None] * rates).repeat(1, 1, 2)[:, None]
        cos, sin = angles.cos().to(self.dtype), angles.sin().to(self.dtype)
        h = self.embeddings[ids].float().view(slots, -1, self.shape.hidden)
        if lows is not None and torch.is_grad_enabled():
            h.requires_grad_(True)  # as every later layer's, so that one compilation serves them all
        for i, layer in enumerate(self.layers):
            low = lows[i] if lows is not None else dict.fromkeys(GROUPS)
            q, k, v = before(h, cos, sin, layer, low["qkv"], keep, self.shape)
            attended = attention(i, q, k, v)
            h = after(h, attended, layer, low["output"], low["gate_up"], low["down"], keep, self.shape)
        return norm(h, self.norm, self.shape.epsilon).to(self.dtype).view(rows, length, -1)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def prefix(self, ids: Sequence[int]) -> KeyValues:
        """The keys and values (1, kv heads, P, head) of one prefix, computed by the bare backbone; P may be 0."""
        cache: KeyValues = []
        length = len(ids)
        if not length:
            none = torch.zeros(1, self.shape.kv_heads, 0, self.shape.head, device=self.device, dtype=self.dtype)
            return [(none, none)] * self.shape.layers
        bias = torch.full((1, 1, length, length), -torch.inf, device=self.device, dtype=self.dtype).triu(1)

        def attention(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            cache.append((k, v))
            return attend(q, k, v, bias)

        tokens = torch.tensor([list(ids)], device=self.device)
        self.hidden(tokens, torch.arange(length, device=self.device)[None], attention)
        return cache

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, D) → (…, V)."""
        return functional.linear(hidden, self.unembeddings)


def after_prefix(prefix: KeyValues, bias: Tensor) -> Attention:
    """Attention of new tokens to a prefix that all rows share, and to each other: `bias` (R, 1, L, P + L)."""

    def attention(i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        early_k, early_v = (early.expand(len(q), -1, -1, -1) for early in prefix[i])
        return attend(q, torch.cat((early_k, k), 2), torch.cat((early_v, v), 2), bias)

    return attention


def _shape(reader: Any) -> Shape:
    def value(key: str) -> Any:
        field = reader.fields.get(key)
        return None if field is None else field.contents()

    architecture = value("general.architecture")
    if architecture != "llama":
        raise ValueError(f"adapters are trained on backbones of the llama architecture; this one is {architecture}")
    if value("llama.rope.scaling.type") not in (None, "none"):
        raise ValueError("adapters cannot be trained on a backbone with scaled rotary positions")
    heads, hidden = int(value("llama.attention.head_count")), int(value("llama.embedding_length"))
    return Shape(
        layers=int(value("llama.block_count")),
        hidden=hidden,
        feed_forward=int(value("llama.feed_forward_length")),
        heads=heads,
        kv_heads=int(value("llama.attention.head_count_kv") or heads),
        head=int(value("llama.attention.key_length") or hidden // heads),
        theta=float(value("llama.rope.freq_base") or 10_000.0),
        epsilon=float(value("llama.attention.layer_norm_rms_epsilon")),
    )
