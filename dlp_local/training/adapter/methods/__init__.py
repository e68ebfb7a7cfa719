"""Ways to parametrize an adapter while it is trained, each in one file; every one ends as an ordinary LoRA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from dlp_local.training.adapter.choices import Choices

if TYPE_CHECKING:
    from dlp_local.training.adapter.methods.method import Method, WeightShape

_FILES = {"rslora": "lora", "lora+": "lora"}


def make_method(choices: Choices, weights: Mapping[str, WeightShape], tasks: Sequence[str], device: str) -> Method:
    """The method that was chosen, its parameters drawn by the seed."""
    module = import_module(f"{__name__}.{_FILES.get(choices.method, choices.method)}")
    method: Method = module.METHOD(choices, weights, tasks, device)
    return method
