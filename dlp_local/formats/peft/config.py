"""`adapter_config.json` of a LoRA as PEFT saves it: what of it counts for a GGUF adapter, and what one cannot express.

Source of the fields and of how patterns match: peft, `LoraConfig` and `get_pattern_key`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlp_local.core.errors import PackError
from dlp_local.core.fields import problems
from dlp_local.formats.peft.other_kinds import DORA, MERGE
from dlp_local.formats.peft.rank_patterns import Patterns, Value

MAX_PATTERN = 1024
MAX_PATTERNS = 4096
SHOWN_PROBLEMS = 1000
"""Characters of what is wrong with a configuration that are shown."""

_WITHOUT_EFFECT = frozenset(
    "task_type auto_mapping peft_version base_model_name_or_path revision inference_mode target_modules "
    "exclude_modules lora_dropout fan_in_fan_out layers_to_transform layers_pattern megatron_config megatron_core "
    "loftq_config eva_config corda_config lora_ga_config qalora_group_size runtime_config".split()
)
"""Fields that say how the adapter was trained or is found, not what it computes."""

_REASONS = {
    "use_dora": f"it is {DORA}",
    "lora_bias": "it trains biases, which a GGUF adapter has no place for",
    "modules_to_save": "it trains whole modules (modules_to_save), and a GGUF adapter holds LoRA alone",
    "trainable_token_indices": "it trains tokens of the embeddings one by one",
    "target_parameters": "it adapts bare parameters (target_parameters), such as stacked experts",
    "layer_replication": "it replicates layers of the backbone",
    "ensure_weight_tying": "it ties the adapters of embeddings and output to each other",
    "invocation_string": "it names its invocation as text; write its tokens as alora_invocation_tokens",
}

_PLAIN_INITS = (True, False, None, "gaussian", "orthogonal", "eva")
"""Ways to begin the training that leave the backbone's own weights as they are."""

_Pattern = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)]
Rank = Annotated[int, Field(ge=1, le=65_536, strict=True)]
Alpha = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False, strict=True)]
_Token = Annotated[int, Field(ge=0, le=0x7FFFFFFF, strict=True)]
Fields = TypeVar("Fields", bound=BaseModel)


class LoraConfig(Protocol):
    """What a folder's configuration says of its LoRA, whichever program wrote it."""

    @property
    def invocation_tokens(self) -> tuple[int, ...]:
        """Of an Activated LoRA (arXiv 2512.17910): it is on from their last occurrence. Else none."""

    def rank(self, module: str) -> int:
        """The rank that the adapter of a module has."""

    def strength(self, module: str) -> float:
        """The alpha of a module's adapter: ΔW = strength / rank · B·A."""


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    peft_type: Literal["LORA"]
    r: Rank
    lora_alpha: Alpha
    rank_pattern: dict[_Pattern, Rank] | None = Field(None, max_length=MAX_PATTERNS)
    alpha_pattern: dict[_Pattern, Alpha] | None = Field(None, max_length=MAX_PATTERNS)
    use_rslora: bool | None = False
    bias: str = "none"
    init_lora_weights: bool | str | None = True
    alora_invocation_tokens: list[_Token] | None = Field(None, max_length=1024)


class PeftConfig:
    """The checked fields of a PEFT LoRA's configuration."""

    def __init__(self, path: Path, fields: _Fields) -> None:
        self.path = path
        self.invocation_tokens = tuple(fields.alora_invocation_tokens or ())
        self._fields = fields
        try:
            self._ranks = Patterns(fields.rank_pattern or {})
            self._alphas = Patterns(fields.alpha_pattern or {})
        except ValueError as error:
            raise PackError(f"{path}: {error}.") from None

    def rank(self, module: str) -> int:
        """As `LoraConfig.rank`; raises `PackError` for patterns that could take for ever."""
        return self._value(self._ranks, module, self._fields.r)

    def strength(self, module: str) -> float:
        """As `LoraConfig.strength`; raises `PackError` for patterns that could take for ever."""
        alpha = self._value(self._alphas, module, self._fields.lora_alpha)
        return alpha * (math.sqrt(self.rank(module)) if self._fields.use_rslora else 1.0)

    def _value(self, patterns: Patterns[Value], module: str, default: Value) -> Value:
        try:
            return patterns.value(module, default)
        except ValueError as error:
            raise PackError(f"{self.path}: {error}.") from None


def read_peft_config(path: Path, content: Mapping[str, Any]) -> PeftConfig:
    """The configuration of a PEFT LoRA; raises `PackError` for a broken one and for what GGUF cannot express."""
    fields = checked(_Fields, path, content)
    if reason := _reason(fields):
        raise PackError(f"{path}: cannot become a GGUF adapter: {reason}. {MERGE}")
    return PeftConfig(path, fields)


def checked(model: type[Fields], path: Path, content: Mapping[str, Any]) -> Fields:
    """A configuration's fields; raises `PackError` that names every wrong one."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        reasons = problems(error, model)[:SHOWN_PROBLEMS]
        raise PackError(f"{path}: does not describe a LoRA ({reasons}). Mend it, or get the file again.") from None


def _reason(fields: _Fields) -> str:
    """Why an adapter of this configuration cannot be expressed; empty where it can."""
    if fields.bias != "none":
        return _REASONS["lora_bias"]
    if fields.init_lora_weights not in _PLAIN_INITS:
        return f"its training changed the backbone's own weights (init_lora_weights {fields.init_lora_weights!a:.32})"
    for name, value in (fields.__pydantic_extra__ or {}).items():
        if value and name not in _WITHOUT_EFFECT and not (name == "modules_to_save" and _are_norms(value)):
            return _REASONS.get(name, f"it uses {name[:64]!a}, which is not known here")
    return ""


def _are_norms(modules: object) -> bool:
    """Whether nothing but norms is named: their weights are left out, as all norms' beside a LoRA are."""
    return isinstance(modules, list) and all(isinstance(name, str) and "norm" in name.lower() for name in modules)
