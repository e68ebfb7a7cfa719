"""What a folder with an adapter is: a LoRA of PEFT's or MLX's, or something else, which is named for what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import read_bytes, utf8
from dlp_local.core.json_text import parse_json
from dlp_local.formats.file_signature import PICKLES, READ, kind_of_file
from dlp_local.formats.peft import mlx
from dlp_local.formats.peft.config import LoraConfig, read_peft_config
from dlp_local.formats.peft.file_names import (
    CONFIG,
    MLX_WEIGHTS,
    OLD_MLX,
    WEIGHTS,
    about_mlx_checkpoints,
    about_shards,
    is_mlx_checkpoint,
    is_shard,
)
from dlp_local.formats.peft.other_folders import MODEL, about_folder
from dlp_local.formats.peft.other_kinds import CONVERTED, kind_of_config

MAX_CONFIG = 4 << 20


@dataclass(frozen=True, slots=True)
class LoraFolder:
    """A folder whose LoRA can be converted: its configuration and the file of its tensors."""

    config: LoraConfig
    weights: Path


@dataclass(frozen=True, slots=True)
class OtherFolder:
    """A folder of PEFT's with an adapter that is no LoRA, of a kind, as PEFT calls it, that a LoRA can be made of."""

    kind: str
    config: Path
    content: Mapping[str, Any]
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
    read = [path.parent / name for name in (WEIGHTS, MLX_WEIGHTS)]
    if path not in read and any(other.exists() for other in read):
        names = " or ".join(other.name for other in read if other.exists())
        raise PackError(
            f"{path}: is not what the adapter of this folder is read from, which is {names}. "
            f"Put it in a folder of its own as {WEIGHTS} or {MLX_WEIGHTS}, with its {CONFIG}."
        )
    return path.parent


def read_folder(folder: Path) -> LoraFolder:
    """Reads what a folder is; raises `PackError` that names what it is where it is no LoRA that can be converted."""
    path = folder / CONFIG
    if folder.is_dir() and not path.exists():
        raise PackError(f"{folder}: {_about(folder)}")
    content = _read_json(path)
    if mlx.is_mlx(content) or ("peft_type" not in content and _has_weights_of_mlx(folder)):
        config: LoraConfig = mlx.read_mlx_config(path, content)
        weights = folder / MLX_WEIGHTS
    else:
        if reason := _other_kind(content):
            raise PackError(f"{path}: describes {reason}")
        config = read_peft_config(path, content)
        weights = folder / WEIGHTS
    if not weights.exists():
        _refuse_other_weights(folder, weights)
    return LoraFolder(config, weights)


def read_other_folder(folder: Path) -> OtherFolder:
    """Reads a folder with another kind of PEFT's adapters; raises `PackError` for a LoRA, and for all else."""
    path = folder / CONFIG
    if not path.exists():
        raise PackError(f"{folder}: {_about(folder)}")
    content = _read_json(path)
    kind = content.get("peft_type")
    if kind == "LORA" or mlx.is_mlx(content) or _has_weights_of_mlx(folder):
        raise PackError(f"{path}: describes a LoRA already. Leave --as-lora out.")
    if not isinstance(kind, str) or kind not in CONVERTED:
        raise PackError(f"{path}: describes {_other_kind(content)}")
    weights = folder / WEIGHTS
    if not weights.exists():
        _refuse_other_weights(folder, weights)
    return OtherFolder(kind, path, content, weights)


def _has_weights_of_mlx(folder: Path) -> bool:
    return any(path.name == MLX_WEIGHTS or is_mlx_checkpoint(path.name) for path in folder.iterdir())


def _read_json(path: Path) -> Mapping[str, Any]:
    raw = read_bytes(path, MAX_CONFIG, "Name the folder of an adapter.", PackError)
    if kind := kind_of_file(raw[:READ]):
        raise PackError(f"{path}: is {kind}.")
    try:
        text = utf8(raw, str(path)).decode("utf-8", "replace")
    except InputError as error:
        raise PackError(str(error)) from None
    name = f"{path}: does not describe a LoRA"
    content = parse_json(text, name, "Get the file again.", PackError, only_finite=False)
    if not isinstance(content, dict):
        raise PackError(f"{path}: does not describe a LoRA: it is no JSON object. Get the file again.")
    return content


def _other_kind(content: Mapping[str, Any]) -> str:
    """What a configuration that is neither PEFT's LoRA nor MLX's describes, and what helps; empty where it is one."""
    kind = content.get("peft_type")
    if kind == "LORA":
        return ""
    if isinstance(kind, str):
        return kind_of_config(kind)
    if isinstance(content.get("config"), dict) and {"model_type", "hidden_size", "model_class"} & set(content):
        return (
            "an adapter of the library `adapters` (AdapterHub), which is no LoRA of PEFT's. "
            "Train a LoRA with PEFT, or use another adapter."
        )
    return "no adapter that is known here: it has no peft_type, as PEFT writes it. Name the folder of a LoRA."


def _about(folder: Path) -> str:
    try:
        return about_folder(folder)
    except OSError as error:
        return f"cannot be read ({error.strerror}). Check the folder's rights."


def _refuse_other_weights(folder: Path, wanted: Path) -> None:
    """Raises `PackError` where the tensors are not there, or in a form that is not read."""
    names = sorted(path.name for path in folder.iterdir())
    if any(map(is_shard, names)):
        raise PackError(f"{folder}: {about_shards(names)}")
    if any(map(is_mlx_checkpoint, names)) and wanted.name == MLX_WEIGHTS:
        raise PackError(f"{folder}: {about_mlx_checkpoints(names)}")
    pickles = [name for name in names if Path(name).suffix.lower() in PICKLES and "adapter" in name]
    if pickles:
        raise PackError(
            f"{folder}: holds {pickles[0]}, a pickle, which may run any program when it is read. "
            f"Get the adapter as {wanted.name}."
        )
    if OLD_MLX in names:
        raise PackError(
            f"{folder}: holds {OLD_MLX}, as MLX saved adapters in its first months. "
            f"Save it as {MLX_WEIGHTS} with mlx-lm."
        )
    merged = " It holds a whole model: if the LoRA is merged into it, convert that to GGUF." if MODEL in names else ""
    raise PackError(f"{wanted}: is not there, beside {CONFIG}. Get the whole folder.{merged}")
