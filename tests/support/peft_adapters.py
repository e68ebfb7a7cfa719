"""PEFT adapters of tiny models, with random numbers in both A and B."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def modules_of(model: Any) -> list[str]:
    """Every matrix that may have an adapter; where embeddings and output are one weight, not that."""
    import torch
    from transformers.pytorch_utils import Conv1D

    matrices = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
    tied = {id(model.get_input_embeddings().weight)} if model.config.tie_word_embeddings else set()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, matrices) and not name.endswith("wpe") and id(module.weight) not in tied
    ]


def add_adapter(model: Any, modules: Sequence[str], **options: Any) -> Any:
    """The model with a random adapter on these modules, which shows in every one of them."""
    import peft
    import torch

    config = peft.LoraConfig(
        **{"r": 4, "lora_alpha": 6, "target_modules": list(modules), "task_type": "CAUSAL_LM"} | options
    )
    torch.manual_seed(11)
    adapted = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.2)
    return adapted


def save_adapter(model: Any, folder: Path, **options: Any) -> Path:
    """A PEFT folder with a random adapter on everything that may have one; the model computes with it from then on."""
    add_adapter(model, modules_of(model), **options).save_pretrained(folder)
    return folder
