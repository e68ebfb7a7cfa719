"""GGUF adapters → a PEFT folder: `convert` backwards, for engines that read nothing else.

Several adapters become one by their ranks: A' = [A1; A2; …] and B' = [w1·s1·B1, w2·s2·B2, …] with alpha = rank are one
adapter that computes their weighted sum. What PEFT would multiply B by is in B already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import make_folder, written_aside
from dlp_local.formats.gguf import EMBEDDINGS
from dlp_local.formats.lora import LoraFile, values
from dlp_local.formats.peft.module_names import module_name
from dlp_local.formats.peft.target import Target

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
Array = NDArray[np.float32]
Parts = Sequence[tuple[LoraFile, float]]
"""Adapters, each with the factor that its ΔW is multiplied by."""


def stacked_rank(parts: Parts) -> int:
    """The rank of adapters as one: the largest sum of their ranks among the weights that they change."""
    names = {name for lora, _ in parts for name in lora.pairs}
    return max(sum(lora.pairs[name].b.shape[0] for lora, _ in parts if name in lora.pairs) for name in names)


def export_lora(parts: Parts, backbone: Path, folder: Path, rank: int | None = None) -> None:
    """Writes adapters as one PEFT LoRA, in f32, into a folder that is made; its configuration is written last.

    `rank`: what every weight's is filled up to with zeros (none: the largest of them). Invocation tokens are left out:
    the adapter is on for the whole context. Raises `PackError` for an adapter that cannot be written so, `InputError`
    where the folder cannot be written.
    """
    target = Target(backbone)
    rank = rank or stacked_rank(parts)
    tensors = dict[str, Array]()
    modules = []
    for weight in sorted({name for lora, _ in parts for name in lora.pairs}):
        module = module_name(target.architecture, weight)
        modules.append(module)
        a, b = _stacked(parts, weight, rank)
        tensors |= _named(weight, module, a, _as_in_transformers(target, module, b))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": target.architecture == "gpt2",
        "inference_mode": True,
        "target_modules": modules,
    }
    try:
        make_folder(folder)
        _write(folder / WEIGHTS, tensors)
        with written_aside(folder / CONFIG) as part:
            part.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error}). Name another place.") from None


def _write(path: Path, tensors: Mapping[str, Array]) -> None:
    from safetensors.numpy import save_file

    with written_aside(path) as part:
        save_file(dict(tensors), part, {"format": "pt"})


def _stacked(parts: Parts, weight: str, rank: int) -> tuple[Array, Array]:
    """A (rank, inputs) and B (outputs, rank) of a weight, the factors folded into B, the rest zeros.

    Of the embeddings, which are a table, A is (rank, tokens).
    """
    halves = []
    for lora, factor in parts:
        if (pair := lora.pairs.get(weight)) is None:
            continue
        try:
            a, b = (values(lora.data, tensor).astype(np.float32) for tensor in (pair.a, pair.b))
        except ValueError as error:
            raise PackError(f"{lora.path}: cannot be exported: {error}. Convert the adapter to f16.") from None
        halves.append((a.T if weight == EMBEDDINGS else a, b * np.float32(factor * pair.scale)))
        lora.forget_pages()
    stacked_a = np.zeros((rank, halves[0][0].shape[1]), np.float32)
    stacked_b = np.zeros((halves[0][1].shape[0], rank), np.float32)
    at = 0
    for a, b in halves:
        stacked_a[at : at + len(a)], stacked_b[:, at : at + len(a)] = a, b
        at += len(a)
    return stacked_a, stacked_b


def _as_in_transformers(target: Target, module: str, b: Array) -> Array:
    """B with its rows in the order of transformers; raises `PackError` where the backbone has no such weight."""
    try:
        rows = target.weight(module).rows
    except ValueError as error:
        raise PackError(f"{module}: {error}. Use an adapter made for this backbone.") from None
    if rows is None:
        return b
    ordered = np.empty_like(b)
    ordered[rows] = b
    return ordered


def _named(weight: str, module: str, a: Array, b: Array) -> dict[str, Array]:
    """The two tensors by PEFT's names."""
    halves = {"embedding_A": a, "embedding_B": b} if weight == EMBEDDINGS else {"A.weight": a, "B.weight": b}
    return {f"base_model.model.{module}.lora_{half}": array for half, array in halves.items()}
