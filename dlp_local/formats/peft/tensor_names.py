"""The names of an adapter's tensors: which half of which module's LoRA each is, as the trainers write them.

PEFT: `base_model.model.<module>.lora_A.weight`, embeddings `….lora_embedding_A`; the adapter's own name may stand
behind the half, be it with dots in it, and several trainers and mergers leave the prefix or `.weight` out. MLX:
`<module>.lora_a`, transposed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from dlp_local.formats.peft.other_kinds import MERGE

_SCHEMES = (
    re.compile(
        r"(?P<module>.+?)\.lora_(?P<half>[AB])(?:\.(?P<adapter>(?!(?:weight|bias)(?:\.|$))(?!.*\.bias$).+?))?(?:\.weight)?"
    ),
    re.compile(r"(?P<module>.+?)\.lora_embedding_(?P<half>[AB])(?:\.(?P<adapter>[^.]+))?"),
    re.compile(r"(?P<module>.+?)\.lora_(?P<half>[ab])(?P<adapter>)"),
)
"""One for each naming scheme: the module, the half, and the adapter's own name where it has one."""

_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_orig_mod|module)\."
)
"""What distributed training (FSDP, DDP, DeepSpeed), checkpointing and torch.compile put between a name's parts."""

_AROUND = re.compile(r"^(?:base_model(?:\.model)?\.)+|\.modules_to_save(?:\.[^.]+)?$")
"""What PEFT puts around the name of a model's module."""

_BACKBONES_OWN = re.compile(r"(?P<module>.+)\.base_layer\.(?P<part>weight|bias)")
"""PEFT saves the backbone's own embeddings and output beside an adapter of theirs."""


@dataclass(frozen=True, slots=True)
class LoraTensor:
    """What a tensor's name says."""

    module: str
    """As the model's library names it: `model.layers.0.mlp.up_proj`."""

    half: Literal["A", "B"]
    adapter: str
    """The adapter's own name, where the tensor's has one."""

    is_table: bool
    """Saved as an adapter of embeddings: A has a column for each token."""

    is_transposed: bool
    """A is (inputs, rank) and B (rank, outputs), as in MLX."""


def parse_name(name: str) -> LoraTensor | None:
    """What a tensor's name says of it; None for one that is neither A nor B of a LoRA."""
    for scheme in _SCHEMES:
        if match := scheme.fullmatch(name):
            half: Literal["A", "B"] = "A" if match["half"] in "Aa" else "B"
            is_table = "lora_embedding_" in name
            return LoraTensor(module_of(match["module"]), half, match["adapter"] or "", is_table, match["half"] in "ab")
    return None


def module_of(name: str) -> str:
    """The name of a module without what wrappers put around it."""
    return _AROUND.sub("", _WRAPPERS.sub("", name))


def backbones_own(name: str) -> tuple[str, str] | None:
    """The module, and `weight` or `bias`, of a tensor that is a copy of the backbone's; None for another one."""
    match = _BACKBONES_OWN.fullmatch(name)
    return (module_of(match["module"]), match["part"]) if match else None


def why_not_lora(name: str) -> str:
    """Why a tensor that is no half of a LoRA cannot become part of a GGUF adapter, and what helps."""
    if name.endswith(".bias"):
        return f"it is a bias, which a GGUF adapter has no place for. {MERGE}"
    if name.endswith(("lora_a_scales", "lora_a_biases", "lora_b_scales", "lora_b_biases")):
        return "it belongs to a quantized LoRA. Save the adapter without quantization."
    if "embed_tokens" in name or "lm_head" in name or _BACKBONES_OWN.fullmatch(name):
        return f"it is a whole weight, as of a backbone with tokens added, and a GGUF adapter holds LoRA alone. {MERGE}"
    return f"it is neither A nor B of a LoRA, and a GGUF adapter holds LoRA alone. {MERGE}"
