"""The names of a backbone's modules in transformers, by the GGUF names of their weights: `Target.weight` backwards.

Source: the models' own code in transformers; tests/formats/peft/test_export.py compares every family with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import EMBEDDINGS, OUTPUT
from dlp_local.formats.peft.target import ARCHITECTURES

_LAYER_WEIGHT = re.compile(r"blk\.(\d+)\.(.+)\.weight")


@dataclass(frozen=True, slots=True)
class _Names:
    """Where the modules of one family of models are: a layer's by the GGUF names of their weights."""

    modules: Mapping[str, str]
    layers: str = "model.layers"
    embeddings: str = "model.embed_tokens"


_ATTENTION = {f"attn_{name}": f"self_attn.{name}_proj" for name in "qkv"} | {"attn_output": "self_attn.o_proj"}
_MLP = {f"ffn_{name}": f"mlp.{name}_proj" for name in ("gate", "up", "down")}
_FUSED_MLP = {"ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h"}
_FALCON = _Names(
    {"attn_qkv": "self_attention.query_key_value", "attn_output": "self_attention.dense", **_FUSED_MLP},
    layers="transformer.h",
    embeddings="transformer.word_embeddings",
)
_MOST = _Names(_ATTENTION | _MLP)
_OTHERS = {
    "bloom": _FALCON,
    "falcon": _FALCON,
    "gpt2": _Names(
        {"attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
        layers="transformer.h",
        embeddings="transformer.wte",
    ),
    "gptneox": _Names(
        {"attn_qkv": "attention.query_key_value", "attn_output": "attention.dense", **_FUSED_MLP},
        layers="gpt_neox.layers",
        embeddings="gpt_neox.embed_in",
    ),
    "lfm2": _Names(
        _ATTENTION
        | {"attn_output": "self_attn.out_proj", "ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3"}
        | {"ffn_down": "feed_forward.w2", "shortconv.in_proj": "conv.in_proj", "shortconv.out_proj": "conv.out_proj"}
    ),
    "phi2": _Names(_ATTENTION | {"attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}),
    "phi3": _Names(
        {"attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj"}
        | {"ffn_up": "mlp.gate_up_proj", "ffn_down": "mlp.down_proj"}
    ),
    "starcoder2": _Names(_ATTENTION | {"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}),
}
_BY_ARCHITECTURE = {architecture: _OTHERS.get(architecture, _MOST) for architecture in ARCHITECTURES}


def module_name(architecture: str, weight: str) -> str:
    """The module of a weight: `blk.0.attn_q.weight` of a llama is `model.layers.0.self_attn.q_proj`.

    Raises `PackError` for what has no name here.
    """
    if (names := _BY_ARCHITECTURE.get(architecture)) is not None:
        if weight in (EMBEDDINGS, OUTPUT):
            return names.embeddings if weight == EMBEDDINGS else "lm_head"
        if (match := _LAYER_WEIGHT.fullmatch(weight)) and match[2] in names.modules:
            return f"{names.layers}.{match[1]}.{names.modules[match[2]]}"
    raise PackError(
        f"{weight}: has no name in transformers that is known here, in a backbone of the architecture "
        f"{architecture[:64]!a}. Use an engine that reads GGUF, such as llama-server."
    )
