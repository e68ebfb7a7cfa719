"""Writes the trained backbone as a GGUF file for llama.cpp; `dlp_local.formats.peft` converts its adapters.

Format: the GGUF specification (ggml-org/ggml, docs/gguf.md). llama.cpp rotates neighboring pairs of a head where
transformers rotates halves, so the rows of Q and K are permuted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

from dlp_local.core.files import written_aside

Array = np.ndarray


def permute(weight: Array, heads: int) -> Array:
    """Reorders the rows of a Q or K weight (heads·d, n) from halves to neighboring pairs."""
    d = weight.shape[0] // heads
    return weight.reshape(heads, 2, d // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def _heads(name: str, config: dict[str, Any]) -> int | None:
    """The heads by which a weight is permuted, or None."""
    if ".q_proj" in name:
        return int(config["num_attention_heads"])
    if ".k_proj" in name:
        return int(config["num_key_value_heads"])
    return None


def export_backbone(folder: Path, path: Path, about: dict[str, str], quantize: bool = True) -> None:
    """Writes a transformers Llama folder as GGUF: matrices Q8_0 (or f32), norms f32, tokenizer and chat template in.

    `about` gives the header's `name`, `license`, `description` and so on (`general.*`). Raises `KeyError` for a weight
    that a Llama model does not have.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    weights = load_file(folder / "model.safetensors")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    with written_aside(path) as part:
        writer = gguf.GGUFWriter(part, "llama")
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
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantize else gguf.LlamaFileType.ALL_F32)
        _add_tokenizer(writer, folder)
        for name, tensor in weights.items():
            target = f"{names[name.removesuffix('.weight')]}.weight"
            array = tensor.to(torch.float32).numpy()
            heads = _heads(name, config)
            array = permute(array, heads) if heads else array
            if quantize and array.ndim == 2:
                kind = gguf.GGMLQuantizationType.Q8_0
                writer.add_tensor(target, gguf.quants.quantize(array, kind), raw_dtype=kind)
            else:
                writer.add_tensor(target, array)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


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
