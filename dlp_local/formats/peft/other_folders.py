"""Folders that no adapter is read from: what they are, and what helps. Training leaves many kinds."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dlp_local.formats.file_signature import PICKLES
from dlp_local.formats.peft.file_names import (
    CONFIG,
    MLX_WEIGHTS,
    OLD_MLX,
    WEIGHTS,
    adapters_in,
    is_mlx_checkpoint,
    is_shard,
    which_adapter,
)
from dlp_local.formats.peft.other_layouts import layout_of_folder

MODEL = "config.json"
"""What makes a folder that of a whole model of transformers."""

_STATES = frozenset(
    "optimizer.pt optimizer.bin scheduler.pt scheduler.bin rng_state.pth scaler.pt training_args.bin recipe_state.pt "
    "trainer_state.json".split()
)
"""What training needs to go on from where it was; no weights are in them."""

CONVERT = (
    "Make it GGUF with llama.cpp's convert_hf_to_gguf.py, and start a pack with that: "
    "dlp-local pack create NAME --backbone FILE.gguf"
)


def about_model(folder: Path) -> str:
    """What is said of the folder of a whole model that is to be a backbone; empty for another folder."""
    if not (folder / MODEL).exists() or (folder / CONFIG).exists():
        return ""
    return f"is the folder of a whole model, which is not GGUF. {CONVERT}."


def about_folder(folder: Path) -> str:
    """What a folder without a configuration of an adapter is, and what helps; raises `OSError`."""
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return f"is empty. Name the folder of an adapter, with its {CONFIG}."
    if ggufs := [name for name in names if name.lower().endswith(".gguf")]:
        return f"is a folder with GGUF files. Name the adapter's file itself: {folder / ggufs[0]}."
    if "pytorch_lora_weights.safetensors" in names:
        return "holds a LoRA for images (diffusers), not for a language model. Use an adapter made for this backbone."
    if OLD_MLX in names or MLX_WEIGHTS in names or any(map(is_mlx_checkpoint, names)):
        return f"holds an adapter of MLX's without its {CONFIG}, which says its scale. Get the whole folder."
    if WEIGHTS in names or any(map(is_shard, names)):
        return f"holds the tensors of an adapter without its {CONFIG}, which says its rank. Get the whole folder."
    if layout := layout_of_folder(folder, CONFIG):
        return layout
    if nested := adapters_in(path.relative_to(folder).as_posix() for path in folder.glob(f"*/{CONFIG}")):
        return which_adapter(nested, f"{folder}/")
    if MODEL in names:
        return f"holds a whole model, not an adapter: there is no {CONFIG}. {CONVERT}."
    return _about_state(folder, names) or f"holds no adapter: there is no {CONFIG}. Name the folder of an adapter."


def _about_state(folder: Path, names: Collection[str]) -> str:
    """What a training's own files are, and pickles; empty where there are none."""
    if "zero_to_fp32.py" in names or any(name.startswith("global_step") for name in names):
        return (
            "is a checkpoint of DeepSpeed, which holds the whole model and its optimizer. "
            "Save the adapter itself with PEFT's save_pretrained."
        )
    if any(folder.glob("*.distcp")) or any(folder.glob("*/*.distcp")):
        return (
            "is a checkpoint of PyTorch in shards (FSDP). "
            "Gather it with `accelerate merge-weights`, or save the adapter with PEFT's save_pretrained."
        )
    weights = [name for name in names if Path(name).suffix.lower() in PICKLES and name not in _STATES]
    if weights:
        return (
            f"holds {weights[0]}, a pickle, which may run any program when it is read, and no {CONFIG}. "
            f"Get the adapter as {WEIGHTS} with its {CONFIG}."
        )
    if not _STATES.isdisjoint(names):
        return (
            "holds the state of a training (optimizer, scheduler), and no weights. "
            f"Name the folder that {WEIGHTS} is in."
        )
    return ""
