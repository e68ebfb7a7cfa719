"""A method's A and B → a GGUF adapter, by way of the folder that PEFT would have saved; and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from dlp_local.core.errors import InputError
from dlp_local.core.files import temporary_folder
from dlp_local.formats.gguf import EMBEDDINGS, read_header
from dlp_local.formats.lora import check_fits, read_lora
from dlp_local.formats.peft.convert import Precision, convert_lora
from dlp_local.formats.peft.export import export_lora
from dlp_local.training.adapter.batches import Tokens
from dlp_local.training.adapter.methods.method import Factors, Method


def write_adapter(
    method: Method,
    task: int,
    backbone: Path,
    out: Path,
    *,
    invocation: Tokens = (),
    metadata: Mapping[str, str] = {},
    precision: Precision = "f16",
) -> None:
    """Writes the adapter of a task as GGUF, whole or not at all; raises `InputError` where it cannot be written."""
    with temporary_folder() as folder:
        write_peft_folder(method, task, folder, invocation)
        convert_lora(folder, backbone, out, metadata=metadata, precision=precision)


@torch.no_grad()  # type: ignore[untyped-decorator]
def write_peft_folder(method: Method, task: int, folder: Path, invocation: Tokens = ()) -> None:
    """Writes the adapter of a task as PEFT saves a LoRA, the scale in B; ranks may differ among the weights."""
    tensors, ranks = {}, dict[str, int]()
    for name in method.weights:
        if (factors := method.exported(name, task)) is None:
            continue
        ranks[name] = len(factors.a)
        for side, factor in zip("AB", factors, strict=True):  # copied: safetensors refuses an A that layers share
            whole = factor.to("cpu", torch.float32, copy=True).contiguous()
            tensors[f"base_model.model.{name}.lora_{side}.weight"] = whole
    rank = max(ranks.values())
    others = {re.escape(name): count for name, count in ranks.items() if count != rank}
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(ranks),
    }
    if invocation:
        config["alora_invocation_tokens"] = list(invocation)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")


def read_adapter(adapter: Path, backbone: Path) -> dict[str, Factors]:
    """A and B of a GGUF adapter by the names that weights have in transformers, the scale in B.

    Raises `PackError` for one that is damaged or does not fit the backbone, `InputError` for one that changes the
    embeddings, too.
    """
    lora = read_lora(adapter)
    check_fits(lora, read_header(backbone))
    if EMBEDDINGS in lora.pairs:
        raise InputError(f"{adapter}: changes the embeddings, which are not trained here. Name another adapter.")
    with temporary_folder() as folder:
        export_lora([(lora, 1.0)], backbone, folder)
        halves = load_file(folder / "adapter_model.safetensors")
    found = {}
    for name, a in halves.items():
        weight, is_a, _ = name.removeprefix("base_model.model.").partition(".lora_A.")
        if is_a:
            found[weight] = Factors(a, halves[name.replace(".lora_A.", ".lora_B.")])
    return found
