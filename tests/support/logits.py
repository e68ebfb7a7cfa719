"""The logits after some tokens, as torch and as llama.cpp compute them, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlp_local.core.settings import Engine
from dlp_local.engine.local import llama
from dlp_local.formats.lora import read_lora


def torch_logits(model: Any, tokens: Sequence[int]) -> Any:
    """Those of a model of transformers' or PEFT's."""
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([list(tokens)])).logits[0, -1].numpy()


def llama_logits(backbone: Path, tokens: Sequence[int], *adapters: Path) -> Any:
    """Those of llama.cpp, with adapters or none."""
    with llama.Backbone(backbone, Engine(threads=1)) as opened:
        opened.set_adapters([(opened.load_adapter(read_lora(adapter)), 1.0) for adapter in adapters])
        opened.decode(list(tokens), 0, 0)
        return opened.logits()


def difference(given: Any, wanted: Any) -> float:
    """The largest difference of two logits, relative to the largest logit."""
    return float(np.abs(given - wanted).max() / np.abs(wanted).max())
