"""What a folder with an adapter is: a LoRA of PEFT's or MLX's, or something else, which is named for what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.core.errors import PackError
from dlp_local.core.files import read_bytes
from dlp_local.core.json_text import parse_json
from dlp_local.formats.peft import mlx
from dlp_local.formats.peft.config import MERGE, LoraConfig, read_peft_config
from dlp_local.formats.peft.other_layouts import layout_of_folder

CONFIG = "adapter_config.json"
MAX_CONFIG = 4 << 20

WEIGHTS = "adapter_model.safetensors"
PICKLES = ("adapter_model.bin", "pytorch_adapter.bin", "adapter_0.pt")
OLD_MLX = "adapters.npz"

_NO_LORA = {
    **dict.fromkeys(
        ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "ADAPTION_PROMPT"),
        "learned tokens before the prompt, which neither a GGUF adapter nor a merged model can hold. "
        "Use a LoRA for the same task.",
    ),
    "XLORA": "a mixture of LoRAs with a gate of its own. Add its LoRAs one by one; dlp-local's router mixes them.",
    "POLY": "a mixture of LoRAs with a gate of its own. Train a LoRA for each task; dlp-local's router mixes them.",
    "TRAINABLE_TOKENS": "changed tokens of the embeddings. " + MERGE,
    "LN_TUNING": "changed norms of the backbone. " + MERGE,
    "IA3": "learned factors of activations, (IA)³. " + MERGE,
    "LOHA": "a LoHa, a Hadamard product of two low-rank matrices. " + MERGE,
    "LOKR": "a LoKr, a Kronecker product. " + MERGE,
    "ADALORA": "an AdaLoRA, which has singular values beside A and B. " + MERGE,
}
"""Kinds of PEFT adapters beside LoRA: what they are, and what helps."""


@dataclass(frozen=True, slots=True)
class LoraFolder:
    """A folder whose LoRA can be converted: its configuration and the file of its tensors."""

    config: LoraConfig
    weights: Path


def lora_folder(path: Path) -> Path | None:
    """The folder of an adapter that a path names, itself or by one of its files; None for another file, a GGUF say.

    Raises `PackError` for a file of tensors that is not the one which the folder's adapter is read from.
    """
    if path.is_dir():
        return path
    if path.name == CONFIG and path.is_file():
        return path.parent
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return None
    read = [path.parent / name for name in (WEIGHTS, mlx.WEIGHTS)]
    if path not in read and any(other.exists() for other in read):
        names = " or ".join(other.name for other in read if other.exists())
        raise PackError(
            f"{path}: is not what the adapter of this folder is read from, which is {names}. "
            f"Put it in a folder of its own as {WEIGHTS} or {mlx.WEIGHTS}, with its {CONFIG}."
        )
    return path.parent


def read_folder(folder: Path) -> LoraFolder:
    """Reads what a folder is; raises `PackError` that names what it is where it is no LoRA that can be converted."""
    path = folder / CONFIG
    if not path.exists() and (reason := _other_folder(folder)):
        raise PackError(f"{folder}: {reason}")
    content = _read_json(path)
    if mlx.is_mlx(content) or ("peft_type" not in content and (folder / mlx.WEIGHTS).exists()):
        config: LoraConfig = mlx.read_mlx_config(path, content)
        weights = folder / mlx.WEIGHTS
    else:
        if reason := _other_kind(content):
            raise PackError(f"{path}: describes {reason}")
        config = read_peft_config(path, content)
        weights = folder / WEIGHTS
    if not weights.exists():
        _refuse_other_weights(folder, weights)
    return LoraFolder(config, weights)


def _read_json(path: Path) -> Mapping[str, Any]:
    raw = read_bytes(path, MAX_CONFIG, "Name the folder of an adapter.", PackError)
    text = raw.decode("utf-8-sig", "replace")
    content = parse_json(text, f"{path}: does not describe a LoRA", "Get the file again.", PackError)
    if not isinstance(content, dict):
        raise PackError(f"{path}: does not describe a LoRA: it is no JSON object. Get the file again.")
    return content


def _other_kind(content: Mapping[str, Any]) -> str:
    """What a configuration that is neither PEFT's LoRA nor MLX's describes, and what helps; empty where it is one."""
    kind = content.get("peft_type")
    if kind == "LORA":
        return ""
    if isinstance(kind, str):
        return _NO_LORA.get(kind, f"a PEFT adapter of the kind {kind[:32]!a}, which is no LoRA. {MERGE}")
    if isinstance(content.get("config"), dict) and {"model_type", "hidden_size", "model_class"} & set(content):
        return (
            "an adapter of the library `adapters` (AdapterHub), which is no LoRA of PEFT's. "
            "Train a LoRA with PEFT, or use another adapter."
        )
    return "no adapter that is known here: it has no peft_type, as PEFT writes it. Name the folder of a LoRA."


def _other_folder(folder: Path) -> str:
    """What a folder without a configuration of an adapter is, and what helps; empty where nothing tells."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ""
    if ggufs := [name for name in names if name.lower().endswith(".gguf")]:
        return f"is a folder with GGUF files. Name the adapter's file itself: {folder / ggufs[0]}."
    if "pytorch_lora_weights.safetensors" in names:
        return "holds a LoRA for images (diffusers), not for a language model. Use an adapter made for this backbone."
    if OLD_MLX in names or mlx.WEIGHTS in names:
        return f"holds an adapter of MLX's without its {CONFIG}, which says its scale. Get the whole folder."
    if layout := layout_of_folder(folder, CONFIG):
        return layout
    if "config.json" in names:
        return f"holds a whole model, not an adapter: there is no {CONFIG}. Convert the model to GGUF for a pack."
    return ""


def _refuse_other_weights(folder: Path, wanted: Path) -> None:
    """Raises `PackError` where the tensors are there in a form that is not read."""
    for name in PICKLES:
        if (folder / name).exists():
            raise PackError(
                f"{folder}: holds {name}, a pickle, which may run any program when it is read. "
                f"Get the adapter as {wanted.name}."
            )
    if (folder / OLD_MLX).exists():
        raise PackError(
            f"{folder}: holds {OLD_MLX}, as MLX saved adapters in its first months. "
            f"Save it as {mlx.WEIGHTS} with mlx-lm."
        )
