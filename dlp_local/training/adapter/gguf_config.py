"""What transformers is to compute of a GGUF model: its header under the names of transformers' configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.core.errors import PackError
from dlp_local.core.text import visible
from dlp_local.formats.gguf import EMBEDDINGS, OUTPUT, Header


class Numbers:
    """The numbers of a header's own architecture; raises `PackError` for one that is missing or none."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self.header = path, header
        entry = header.values.get("general.architecture")
        self.architecture = str(entry.value) if entry else ""

    def value(self, key: str, default: Any = None) -> Any:
        """A value as it is written; `default` where it is not."""
        entry = self.header.values.get(f"{self.architecture}.{key}")
        return entry.value if entry else default

    def number(self, key: str, default: float | None = None) -> Any:
        """A value that must be a number above zero; one that is missing, too, where there is no `default`."""
        value = self.value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise PackError(f"{self.path}: its {visible(self.architecture)}.{key} is no number. Get the model again.")
        return value

    @property
    def head_size(self) -> int:
        """The numbers of a key or a query of one head."""
        heads = self.number("attention.head_count")
        return int(self.number("attention.key_length", max(1, self.number("embedding_length") // heads)))


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture: its name in transformers, and what its configuration has beside the common."""

    model_type: str
    more: Callable[[Numbers], Mapping[str, Any]]
    norms_plus_one: bool = False
    """Whether llama.cpp's norms hold one more than those of transformers."""


def _rms(numbers: Numbers) -> dict[str, Any]:
    return {"rms_norm_eps": numbers.number("attention.layer_norm_rms_epsilon")}


def _rms_and_head(numbers: Numbers) -> dict[str, Any]:
    return _rms(numbers) | {"head_dim": numbers.head_size}


def _gemma2(numbers: Numbers) -> dict[str, Any]:
    """Scores are scaled by the size of a head, but in the models of 27 billion weights (46 and 62 layers)."""
    is_27b = numbers.number("block_count") in (46, 62)
    scaled_by = numbers.number("embedding_length") // numbers.number("attention.head_count")
    return _rms_and_head(numbers) | {
        "query_pre_attn_scalar": scaled_by if is_27b else numbers.head_size,
        "sliding_window": numbers.number("attention.sliding_window"),
        "attn_logit_softcapping": numbers.value("attn_logit_softcapping"),
        "final_logit_softcapping": numbers.value("final_logit_softcapping"),
    }


def _phi3(numbers: Numbers) -> dict[str, Any]:
    """Llama.cpp does not compute its sliding window."""
    return _rms(numbers) | {"sliding_window": None}


def _granite(numbers: Numbers) -> dict[str, Any]:
    return _rms(numbers) | {
        "attention_multiplier": numbers.number("attention.scale"),
        "embedding_multiplier": numbers.number("embedding_scale"),
        "residual_multiplier": numbers.number("residual_scale"),
        "logits_scaling": numbers.number("logit_scale"),
    }


def _cohere2(numbers: Numbers) -> dict[str, Any]:
    return {
        "layer_norm_eps": numbers.number("attention.layer_norm_epsilon"),
        "logit_scale": numbers.number("logit_scale"),
        "head_dim": numbers.head_size,
        "sliding_window": numbers.number("attention.sliding_window"),
    }


def _starcoder2(numbers: Numbers) -> dict[str, Any]:
    return {"norm_epsilon": numbers.number("attention.layer_norm_epsilon"), "sliding_window": None}


FAMILIES: Mapping[str, Family] = {
    "llama": Family("llama", _rms_and_head),
    "arcee": Family("arcee", _rms_and_head),
    "cohere2": Family("cohere2", _cohere2),
    "ernie4_5": Family("ernie4_5", _rms_and_head),
    "gemma": Family("gemma", _rms_and_head, norms_plus_one=True),
    "gemma2": Family("gemma2", _gemma2, norms_plus_one=True),
    "gemma3": Family("gemma3_text", _gemma2, norms_plus_one=True),
    "granite": Family("granite", _granite),
    "hunyuan-dense": Family("hunyuan_v1_dense", _rms_and_head),
    "olmo2": Family("olmo2", _rms),
    "phi3": Family("phi3", _phi3),
    "qwen2": Family("qwen2", _rms),
    "qwen3": Family("qwen3", _rms_and_head),
    "seed_oss": Family("seed_oss", _rms_and_head),
    "smollm3": Family("smollm3", _rms),
    "starcoder2": Family("starcoder2", _starcoder2),
}
"""GGUF's name of an architecture → the family; Mistral's models, SmolLM2 and Llama 3 are of `llama`."""


def family_of(numbers: Numbers) -> Family:
    """The family of a model; raises `PackError` for an architecture that is not computed here."""
    if (family := FAMILIES.get(numbers.architecture)) is None:
        raise PackError(
            f"{numbers.path}: the architecture {visible(numbers.architecture)[:64] or 'of no name'} cannot be trained "
            f"on here. Use a backbone of one of these: {', '.join(sorted(FAMILIES))}."
        )
    return family


def config_values(numbers: Numbers, family: Family) -> dict[str, Any]:
    """A configuration's values; raises `PackError` for what is missing, and for positions scaled in unknown ways."""
    tensors = numbers.header.tensors
    if EMBEDDINGS not in tensors:
        raise PackError(f"{numbers.path}: has no {EMBEDDINGS}, and so is no whole model. Use another backbone.")
    heads = numbers.number("attention.head_count")
    return {
        "hidden_size": numbers.number("embedding_length"),
        "intermediate_size": numbers.number("feed_forward_length"),
        "num_hidden_layers": numbers.number("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": numbers.number("attention.head_count_kv", heads),
        "max_position_embeddings": numbers.number("context_length"),
        "vocab_size": tensors[EMBEDDINGS].shape[-1],
        "tie_word_embeddings": OUTPUT not in tensors,
        "rope_theta": numbers.number("rope.freq_base", 10_000.0),
        "rope_scaling": _rope_scaling(numbers),
        "pad_token_id": None,
        **family.more(numbers),
    }


def _rope_scaling(numbers: Numbers) -> dict[str, Any] | None:
    kind = numbers.value("rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": float(numbers.number("rope.scaling.factor"))}
    raise PackError(
        f"{numbers.path}: scales positions in a way ({visible(str(kind))[:64]}) that is not computed here. "
        "Use another backbone."
    )
