"""Tiny random models of many architectures: as transformers has them, and as GGUF by the `gguf` package's names.

Where llama.cpp wants other numbers than transformers saves (rows of Q and K, norms with one added), that is done here
as llama.cpp's converter does it, apart from the code that is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD, VOCAB, CONTEXT = 32, 48, 2, 4, 2, 8, 96, 64

_LLAMA = {
    "hidden_size": HIDDEN,
    "intermediate_size": FFN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCAB,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}
_HEAD = {"head_dim": HEAD}
_YARN = {"llama_4_scaling_beta": 0.0, "original_max_position_embeddings": CONTEXT}
_TIED = {"tie_word_embeddings": True}

Array = np.ndarray
Change = Callable[[str, Array], Array]


def _same(_: str, array: Array) -> Array:
    return array


def _rotated(name: str, array: Array) -> Array:
    """The rows of Q and K from halves of each head to neighboring pairs."""
    heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(name.split(".")[-2])
    if heads is None:
        return array
    d = array.shape[0] // heads
    order = [head * d + half * d // 2 + i for head in range(heads) for i in range(d // 2) for half in range(2)]
    return array[order]


def _norms_plus_one(name: str, array: Array) -> Array:
    return array + 1 if name.endswith("norm.weight") else array


def _all_norms_plus_one(name: str, array: Array) -> Array:
    return array + 1 if "norm" in name and name.endswith(".weight") else array


def _heads_last(name: str, array: Array) -> Array:
    """Q, K and V of each head to all of Q, all of K, all of V."""
    if "query_key_value" not in name:
        return array
    order = [(head * 3 + part) * HEAD + i for part in range(3) for head in range(HEADS) for i in range(HEAD)]
    return array[order]


def _groups_last(name: str, array: Array) -> Array:
    """Two groups, each of two queries, a key and a value, to all queries, all keys, all values."""
    if "query_key_value" not in name:
        return array
    return array[[part * HEAD + i for part in (0, 1, 4, 5, 2, 6, 3, 7) for i in range(HEAD)]]


def _upright(name: str, array: Array) -> Array:
    """GPT-2 keeps its matrices the other way round."""
    return array.T if array.ndim == 2 and ".h." in name else array


@dataclass(frozen=True)
class Tiny:
    """A model: its classes in transformers, its name in GGUF, and what is said and done beside the common."""

    model: str
    arch: str
    config: Mapping[str, Any]
    keys: Mapping[str, Any] = field(default_factory=dict)
    change: Change = _same


_RMS = {"attention.layer_norm_rms_epsilon": 1e-6}
_NORM = {"attention.layer_norm_epsilon": 1e-5}
_LENGTHS = {"attention.key_length": HEAD, "attention.value_length": HEAD}

_GPT_NEOX = {"hidden_act": "gelu", "rotary_pct": 0.5, "use_parallel_residual": True}
_SCALES = {
    "attention_multiplier": 0.3,
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.7,
    "logits_scaling": 2.0,
}
_GRANITE = {"attention.scale": 0.3, "embedding_scale": 3.0, "residual_scale": 0.7, "logit_scale": 2.0}

MODELS: dict[str, Tiny] = {
    "llama": Tiny("Llama", "llama", _LLAMA, _RMS, _rotated),
    "mistral": Tiny("Mistral", "llama", _LLAMA | {"sliding_window": None}, _RMS, _rotated),
    "mistral3": Tiny(
        "Ministral3",
        "mistral3",
        _LLAMA | _HEAD | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4} | _YARN},
        _RMS | _LENGTHS,
        _rotated,
    ),
    "qwen2": Tiny("Qwen2", "qwen2", _LLAMA, _RMS),
    "qwen3": Tiny("Qwen3", "qwen3", _LLAMA | _HEAD, _RMS | _LENGTHS),
    "qwen3moe": Tiny(
        "Qwen3Moe",
        "qwen3moe",
        _LLAMA
        | _HEAD
        | {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
        | {"norm_topk_prob": True},
        _RMS | _LENGTHS | {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 16},
    ),
    "lfm2": Tiny(
        "Lfm2",
        "lfm2",
        _LLAMA | _TIED | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
        {"attention.layer_norm_rms_epsilon": 1e-5, "attention.head_count_kv": [0, KV_HEADS], "shortconv.l_cache": 3},
    ),
    "gemma": Tiny("Gemma", "gemma", _LLAMA | _HEAD | _TIED, _RMS | _LENGTHS, _norms_plus_one),
    "gemma2": Tiny(
        "Gemma2",
        "gemma2",
        _LLAMA | _HEAD | _TIED | {"query_pre_attn_scalar": HEAD, "sliding_window": 32},
        _RMS
        | _LENGTHS
        | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "attention.sliding_window": 32},
        _norms_plus_one,
    ),
    "gemma3": Tiny(
        "Gemma3",
        "gemma3",
        _LLAMA | _HEAD | _TIED | {"query_pre_attn_scalar": HEAD, "sliding_window": 32},
        _RMS | _LENGTHS | {"attention.sliding_window": 32},
        _norms_plus_one,
    ),
    "phi2": Tiny(
        "Phi",
        "phi2",
        _LLAMA | {"partial_rotary_factor": 0.5, "num_key_value_heads": HEADS},
        _NORM | {"rope.dimension_count": HEAD // 2, "attention.head_count_kv": HEADS},
    ),
    "phi3": Tiny("Phi3", "phi3", _LLAMA, _RMS),
    "starcoder2": Tiny("Starcoder2", "starcoder2", _LLAMA | {"use_bias": True, "sliding_window": None}, _NORM),
    "stablelm": Tiny(
        "StableLm",
        "stablelm",
        _LLAMA | {"partial_rotary_factor": 0.5},
        _NORM | {"rope.dimension_count": HEAD // 2, "use_parallel_residual": False},
    ),
    "olmo": Tiny("Olmo", "olmo", _LLAMA, _NORM, _rotated),
    "olmo2": Tiny("Olmo2", "olmo2", _LLAMA, _RMS),
    "granite": Tiny("Granite", "granite", _LLAMA | _SCALES, _RMS | _GRANITE, _rotated),
    "smollm3": Tiny("SmolLM3", "smollm3", _LLAMA, _RMS, _rotated),
    "arcee": Tiny("Arcee", "arcee", _LLAMA, _RMS, _rotated),
    "command-r": Tiny("Cohere", "command-r", _LLAMA | _TIED, _NORM | {"logit_scale": 0.0625}),
    "cohere2": Tiny(
        "Cohere2",
        "cohere2",
        _LLAMA | _HEAD | _TIED | {"sliding_window": 32},
        _NORM | _LENGTHS | {"logit_scale": 0.0625, "attention.sliding_window": 32},
    ),
    "exaone4": Tiny(
        "Exaone4",
        "exaone4",
        _LLAMA | _HEAD | {"sliding_window": None, "layer_types": ["full_attention"] * LAYERS},
        _RMS | _LENGTHS,
    ),
    "nemotron": Tiny(
        "Nemotron",
        "nemotron",
        _LLAMA | _HEAD | {"partial_rotary_factor": 0.5},
        _NORM | {"rope.dimension_count": HEAD // 2},
        _all_norms_plus_one,
    ),
    "seed_oss": Tiny("SeedOss", "seed_oss", _LLAMA | _HEAD, _RMS | _LENGTHS),
    "ernie4_5": Tiny("Ernie4_5", "ernie4_5", _LLAMA | _HEAD, _RMS | _LENGTHS),
    "hunyuan": Tiny("HunYuanDenseV1", "hunyuan-dense", _LLAMA | _HEAD, _RMS | _LENGTHS),
    "gpt2": Tiny(
        "GPT2",
        "gpt2",
        {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT, "vocab_size": VOCAB}
        | {"n_inner": FFN, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False},
        _NORM | {"attention.head_count_kv": HEADS},
        _upright,
    ),
    "gptneox": Tiny(
        "GPTNeoX",
        "gptneox",
        _LLAMA | _GPT_NEOX,
        _NORM | {"rope.dimension_count": HEAD // 2, "use_parallel_residual": True, "attention.head_count_kv": HEADS},
        _heads_last,
    ),
    "bloom": Tiny(
        "Bloom",
        "bloom",
        {"hidden_size": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "vocab_size": VOCAB, "tie_word_embeddings": False},
        _NORM | {"attention.head_count_kv": HEADS, "feed_forward_length": 4 * HIDDEN},
        _heads_last,
    ),
    "falcon": Tiny(
        "Falcon",
        "falcon",
        {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "vocab_size": VOCAB}
        | {"num_kv_heads": KV_HEADS, "new_decoder_architecture": True, "tie_word_embeddings": False, "bias": False},
        _NORM | {"feed_forward_length": 4 * HIDDEN},
        _groups_last,
    ),
}


def random_model(name: str) -> Any:
    """A model of transformers with random weights, large enough that each of them shows in the logits."""
    import torch
    import transformers

    tiny = MODELS[name]
    stem = {"Gemma3": "Gemma3Text"}.get(tiny.model, tiny.model)
    head = {"GPT2": "GPT2LMHeadModel"}.get(tiny.model, f"{tiny.model}ForCausalLM")
    torch.manual_seed(7)
    config = getattr(transformers, f"{stem}Config")(**tiny.config)
    config._attn_implementation = "eager"
    model = getattr(transformers, head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.25) if parameter.ndim >= 2 else parameter.uniform_(0.5, 1.5)
    return model


def write_backbone(name: str, model: Any, path: Path, more: Mapping[str, Array] = {}) -> None:
    """The model as GGUF, in f32 and without a tokenizer; `more` are tensors beside its own, by their GGUF names."""
    tiny = MODELS[name]
    writer = gguf.GGUFWriter(path, tiny.arch)
    common = {
        "context_length": CONTEXT,
        "embedding_length": HIDDEN,
        "block_count": LAYERS,
        "feed_forward_length": FFN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "rope.dimension_count": HEAD,
        "rope.freq_base": _rope_base(model.config),
        "vocab_size": VOCAB,
    }
    for key, value in (common | dict(tiny.keys)).items():
        kinds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}
        (kinds | {str: writer.add_string})[type(value)](f"{tiny.arch}.{key}", value)
    writer.add_tokenizer_model("no_vocab")
    arch = next(arch for arch, arch_name in gguf.MODEL_ARCH_NAMES.items() if arch_name == tiny.arch)
    names = gguf.get_tensor_name_map(arch, LAYERS)
    for key, array in _tensors(model):
        bare = key.removeprefix("transformer.")
        target = names.get_name(key, (".weight", ".bias")) or names.get_name(bare, (".weight", ".bias"))
        assert target, f"{name}: {key} has no name in GGUF"
        writer.add_tensor(target, np.ascontiguousarray(tiny.change(key, array)))
    for target, array in more.items():
        writer.add_tensor(target, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: Any) -> Iterator[tuple[str, Array]]:
    """Every weight, experts' gate and up apart, and embeddings that are the output, too, once."""
    for key, tensor in model.state_dict().items():
        array = tensor.detach().float().numpy()
        if key.endswith(".gate_up_proj"):
            for half, part in zip(("gate", "up"), np.split(array, 2, axis=1), strict=True):
                yield key.replace("gate_up", half) + ".weight", part
        elif key.endswith("experts.down_proj"):
            yield f"{key}.weight", array
        elif key.endswith("conv.conv.weight"):
            yield key, array.squeeze(1)
        elif not (model.config.tie_word_embeddings and key == "lm_head.weight"):
            yield key, array


def _rope_base(config: Any) -> float:
    rope = getattr(config, "rope_parameters", None) or {}
    rope = rope.get("full_attention", rope)
    return float(rope.get("rope_theta", 10_000.0))
