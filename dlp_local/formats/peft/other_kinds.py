"""Adapters that are no plain LoRA, known by their configuration or by the names of their tensors; and what helps."""

from __future__ import annotations

import re
from collections.abc import Collection

MERGE = "Merge it into its backbone and convert that, or use another adapter."
"""What helps where a GGUF adapter cannot express something that was trained."""

AS_LORA = "`dlp-local adapters add FOLDER --name NAME --as-lora RANK` makes it a LoRA that is close to it."
"""What helps where PEFT can make a LoRA of an adapter."""

DORA = "a DoRA, whose magnitudes a GGUF adapter has no place for"

_MIXTURE = "a mixture of LoRAs with a gate of its own. {} dlp-local's router mixes them."
_KINDS = {
    **dict.fromkeys(
        ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "ADAPTION_PROMPT"),
        "learned tokens before the prompt, which neither a GGUF adapter nor a merged model can hold. "
        "Use a LoRA for the same task.",
    ),
    "XLORA": _MIXTURE.format("Add its LoRAs one by one;"),
    "POLY": _MIXTURE.format("Train a LoRA for each task;"),
    "TRAINABLE_TOKENS": f"changed tokens of the embeddings. {MERGE}",
    "LN_TUNING": f"changed norms of the backbone. {MERGE}",
    "IA3": f"learned factors of activations, (IA)³. {MERGE}",
    "LOHA": f"a LoHa, a Hadamard product of two low-rank matrices. {MERGE}",
    "LOKR": f"a LoKr, a Kronecker product. {MERGE}",
    "ADALORA": f"an AdaLoRA, which has singular values beside A and B. {MERGE}",
    "DORA": f"{DORA}. {MERGE}",
}
"""Kind, as PEFT calls it → what it is, and what helps."""

CONVERTED = frozenset(
    "C3A DELORA FOURIERFT GRALORA LOHA LOKR MISS PSOFT RANDLORA TINYLORA UNILORA VBLORA VERA WAVEFT".split()
)
"""The kinds that PEFT's `save_as_lora` takes."""

_TENSORS = {
    "hada_": "LOHA", "lokr_": "LOKR", "lora_e": "ADALORA", "ranknum": "ADALORA", "lora_magnitude_vector": "DORA",
    "dora_scale": "DORA", "ia3_": "IA3", "oft_": "OFT", "boft_": "BOFT", "vera_": "VERA", "vblora_": "VBLORA",
    "fourierft_": "FOURIERFT", "waveft_": "WAVEFT", "hra_": "HRA", "randlora_": "RANDLORA", "c3a_": "C3A",
    "bone_": "BONE", "miss_": "MISS", "shira_": "SHIRA", "road_": "ROAD", "delora_": "DELORA", "gralora_": "GRALORA",
    "poly_lora": "POLY", "trainable_tokens_": "TRAINABLE_TOKENS", "ln_tuning_": "LN_TUNING",
    "internal_xlora_classifier": "XLORA", "prompt_embeddings": "PROMPT_TUNING", "adaption_prompt": "ADAPTION_PROMPT",
}  # fmt: skip
"""What a part of a tensor's name begins with, in lower case → the kind (PEFT, `tuners`; LyCORIS has the first two)."""

_TENSOR = re.compile(rf"(?:^|\.)(?!lora_embedding)({'|'.join(map(re.escape, _TENSORS))})")
_MAGNITUDE_OF_MLX = ".m"


def kind_of_config(peft_type: str) -> str:
    """What a PEFT adapter of this type is, and what helps."""
    about = _about(peft_type)
    return about.replace(MERGE, AS_LORA) if peft_type in CONVERTED else about


def _about(peft_type: str) -> str:
    return _KINDS.get(peft_type, f"a PEFT adapter of the kind {peft_type[:32]!a}, which is no LoRA. {MERGE}")


def kind_of_tensors(names: Collection[str]) -> str:
    """What tensors of these names belong to, and what helps; empty where they do not tell."""
    for name in names:
        if match := _TENSOR.search(name.lower()):
            return _about(_TENSORS[match[1]])
        if name.endswith(_MAGNITUDE_OF_MLX):
            return _about("DORA")
    return ""
