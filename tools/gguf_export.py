"""Writes the trained backbone and adapters as GGUF files for llama.cpp.

Format: the GGUF specification (ggml-org/ggml, docs/gguf.md). llama.cpp rotates neighbouring pairs of a head where
transformers rotates halves, so the rows of Q and K are permuted, in the backbone and in the B of their adapters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

from dlp_local.files import written_aside

Array = np.ndarray

_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def permute(weight: Array, heads: int) -> Array:
    """Reorders the rows of a Q or K weight (heads·d, n) from halves to neighbouring pairs."""
    d = weight.shape[0] // heads
    return weight.reshape(heads, 2, d // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def _heads(name: str, config: dict[str, Any]) -> int | None:
    """The heads by which a weight is permuted, or None."""
    if ".q_proj" in name:
        return int(config["num_attention_heads"])
    if ".k_proj" in name:
        return int(config["num_key_value_heads"])
    return None


def tensor_name(name: str) -> str:
    """The GGUF name of a Llama weight: `model.layers.3.mlp.up_proj.weight` → `blk.3.ffn_up.weight`.

    Raises `ValueError` for a weight that a Llama model does not have.
    """
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in fixed:
        return fixed[name]
    prefix, _, rest = name.partition("model.layers.")
    layer, _, module = rest.partition(".")
    stem = module.removesuffix(".weight")
    if prefix or stem not in _NAMES:
        raise ValueError(f"{name} is no weight of a Llama model")
    return f"blk.{layer}.{_NAMES[stem]}.weight"


def _write(path: Path, arch: str, fill: Callable[[gguf.GGUFWriter], None]) -> None:
    """Writes a whole GGUF file."""
    with written_aside(path) as part:
        writer = gguf.GGUFWriter(part, arch)
        fill(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def export_backbone(folder: Path, path: Path, about: dict[str, str], quantise: bool = True) -> None:
    """Writes a transformers Llama folder as GGUF: matrices Q8_0 (or f32), norms f32, tokenizer and chat template in.

    `about` gives the header's `name`, `license`, `description` and so on (`general.*`).
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    weights = load_file(folder / "model.safetensors")

    def fill(writer: gguf.GGUFWriter) -> None:
        for key, value in about.items():
            writer.add_string(f"general.{key}", value)
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
        writer.add_rope_freq_base(_rope_theta(config))
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_vocab_size(config["vocab_size"])
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantise else gguf.LlamaFileType.ALL_F32)
        _add_tokenizer(writer, folder)
        for name, tensor in weights.items():
            array = tensor.to(torch.float32).numpy()
            heads = _heads(name, config)
            array = permute(array, heads) if heads else array
            if quantise and array.ndim == 2:
                kind = gguf.GGMLQuantizationType.Q8_0
                writer.add_tensor(tensor_name(name), gguf.quants.quantize(array, kind), raw_dtype=kind)
            else:
                writer.add_tensor(tensor_name(name), array)

    _write(path, "llama", fill)


def _rope_theta(config: dict[str, Any]) -> float:
    rope = config.get("rope_parameters") or {}
    return float(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    """Adds a byte-level BPE tokenizer with the `deepseek-coder` pre-tokenizer; added tokens are control tokens."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocab: dict[str, int] = tokenizer["model"]["vocab"]
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    by_id = {index: token for token, index in (vocab | special).items()}
    tokens = [by_id[index] for index in range(len(by_id))]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-coder")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in special else normal for token in tokens])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(special[settings["eos_token"]])
    writer.add_pad_token_id(special[settings["pad_token"]])
    writer.add_add_bos_token(False)
    writer.add_chat_template(_chat_template(folder, settings))


def _chat_template(folder: Path, settings: dict[str, Any]) -> str:
    beside = folder / "chat_template.jinja"
    return beside.read_text("utf-8") if beside.exists() else str(settings["chat_template"])


def export_adapter(folder: Path, backbone: Path, path: Path, about: dict[str, str], dtype: type = np.float16) -> None:
    """Writes a PEFT LoRA folder, trained on the Llama folder `backbone`, as a GGUF adapter.

    The header carries alpha and, where the adapter names them, its invocation tokens (`adapter.alora.…`).
    """
    config = json.loads((backbone / "config.json").read_text("utf-8"))
    lora = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    weights = load_file(folder / "adapter_model.safetensors")

    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(lora["lora_alpha"]))
        if invocation := lora.get("alora_invocation_tokens"):
            kind = gguf.GGUFValueType
            writer.add_key_value("adapter.alora.invocation_tokens", invocation, kind.ARRAY, sub_type=kind.UINT32)
        for key, value in about.items():
            writer.add_string(f"general.{key}", value)
        for name, tensor in weights.items():
            array = tensor.to(torch.float32).numpy()
            module, _, half = name.removeprefix("base_model.model.").rpartition(".lora_")
            heads = _heads(name, config)
            if half.startswith("B") and heads:
                array = permute(array, heads)
            writer.add_tensor(f"{tensor_name(module + '.weight')}.lora_{half[0].lower()}", array.astype(dtype))

    _write(path, "llama", fill)
