"""LoRAs whose tensors are named in another way than PEFT's and MLX's: what they are, and what helps."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.formats.peft.other_kinds import kind_of_tensors
from dlp_local.formats.safetensors_file import open_safetensors

_IMAGE_MODELS = (
    "lora_unet_",
    "lora_te_",
    "lora_te1_",
    "lora_te2_",
    "lora_te3_",
    "lora_prior_",
    "unet.",
    "text_encoder.",
)
_KOHYA = (".lora_down.weight", ".lora_up.weight", "_lora.down.weight", "_lora.up.weight")
_TORCHTUNE = (".lora_a.weight", ".lora_b.weight")
_LORA = ("lora_a", "lora_b")


def other_layout(names: Collection[str]) -> str:
    """What tensors of these names are, and what helps; empty where they are no LoRA, or one that is read."""
    if any(name.startswith(_IMAGE_MODELS) for name in names):
        return (
            "a LoRA for an image model (kohya's layout, Stable Diffusion and the like), not for a language model. "
            "Use an adapter made for this backbone."
        )
    if kind := kind_of_tensors(names):
        return kind
    if any(name.endswith(_TORCHTUNE) for name in names):
        return (
            "a LoRA under torchtune's own names (lora_a, lora_b), which are not read here. "
            "Save it in PEFT's layout, as torchtune's FullModelHFCheckpointer does."
        )
    if any(name.endswith(_KOHYA) for name in names):
        return (
            "a LoRA in kohya's layout (lora_down, lora_up), which is not read here. "
            "Save it in PEFT's layout, with the program that trained it."
        )
    return ""


def layout_of_folder(folder: Path, config: str) -> str:
    """What the tensors in a folder without a configuration are; empty where that cannot be told."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with open_safetensors(path) as tensors:
                names = tensors.shapes.keys()
        except PackError:
            continue
        if layout := other_layout(names):
            return f"{path.name} is {layout}"
        if any(part in name.lower() for name in names for part in _LORA):
            return f"{path.name} is a LoRA without its {config}, which says its rank and alpha. Get the whole folder."
    return ""
