"""A LoRA as MLX saves it: `adapters.safetensors`, and a configuration of its own.

Source: ml-explore/mlx-lm, mlx_lm/tuner. ΔW = scale·(A·B)ᵀ with A of (inputs, rank) and B of (rank, outputs); until the
end of 2024 the scale was multiplied by alpha / rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from dlp_local.core.errors import PackError
from dlp_local.formats.peft.config import Alpha, Rank, checked
from dlp_local.formats.peft.other_folders import CONVERT
from dlp_local.formats.peft.other_kinds import DORA, MERGE

_REASONS = {
    "dora": f"it is {DORA}. {MERGE}",
    "full": f"it holds all weights of a model, and nothing to mix. Write the model with `mlx_lm.fuse`. {CONVERT}.",
}
"""Way of training → why there is no GGUF adapter of it, and what helps."""


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True)

    rank: Rank
    scale: Alpha
    alpha: Alpha | None = None


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True)

    fine_tune_type: str = Field("lora", max_length=64)
    lora_parameters: _Parameters


class MlxConfig:
    """The checked fields of an MLX LoRA's configuration: one rank and one scale for all modules."""

    invocation_tokens: tuple[int, ...] = ()

    def __init__(self, parameters: _Parameters) -> None:
        self._rank = parameters.rank
        times = 1.0 if parameters.alpha is None else parameters.alpha / parameters.rank
        self._strength = parameters.scale * times * parameters.rank

    def rank(self, module: str) -> int:
        """As `LoraConfig.rank`."""
        return self._rank

    def strength(self, module: str) -> float:
        """As `LoraConfig.strength`."""
        return self._strength


def is_mlx(content: Mapping[str, Any]) -> bool:
    """Whether a configuration is one of MLX."""
    return "peft_type" not in content and not {"fine_tune_type", "lora_parameters", "lora_layers"}.isdisjoint(content)


def read_mlx_config(path: Path, content: Mapping[str, Any]) -> MlxConfig:
    """The configuration of an MLX LoRA; raises `PackError` for a broken one and for another way of training."""
    kind = content.get("fine_tune_type", "lora")
    if kind != "lora":
        reason = _REASONS.get(str(kind), f"its kind is {str(kind)[:32]!a}, which is not known here. {MERGE}")
        raise PackError(f"{path}: an MLX adapter that cannot become a GGUF adapter: {reason}")
    return MlxConfig(checked(_Fields, path, content).lora_parameters)
