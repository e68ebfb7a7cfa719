"""`adapter_config.json` of a PEFT folder: what of it counts for a GGUF adapter, and what such a file cannot express.

Source of the fields and of how patterns match: peft, `LoraConfig` and `get_pattern_key`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlp_local.core.errors import PackError

CONFIG = "adapter_config.json"
MAX_CONFIG = 4 << 20

_WITHOUT_EFFECT = frozenset(
    "task_type auto_mapping peft_version base_model_name_or_path revision inference_mode target_modules "
    "exclude_modules lora_dropout fan_in_fan_out layers_to_transform layers_pattern megatron_core loftq_config "
    "eva_config qalora_group_size runtime_config".split()
)
"""Fields that say how the adapter was trained or is found, not what it computes."""

_REASONS = {
    "use_dora": "it is a DoRA, whose magnitudes a GGUF adapter has no place for",
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

_HARMLESS_PATTERN = re.compile(r"(?:[\w.|()^$-]|\\[.dw-]|\[[\w-]+\]|(?<=[\w.\]])[*+?]\??)*", re.ASCII)
MAX_PATTERN = 256
MAX_PATTERNS = 4096
MAX_CHOICES = 3
MAX_ALTERNATIVES = 32
"""More repeats and groups, or alternatives, in one regular expression could keep a small file busy for hours."""

_Pattern = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)]
_Rank = Annotated[int, Field(ge=1, le=65_536)]
_Alpha = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
_Token = Annotated[int, Field(ge=0, le=0x7FFFFFFF)]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    peft_type: Literal["LORA"]
    r: _Rank
    lora_alpha: _Alpha
    rank_pattern: dict[_Pattern, _Rank] | None = Field(None, max_length=MAX_PATTERNS)
    alpha_pattern: dict[_Pattern, _Alpha] | None = Field(None, max_length=MAX_PATTERNS)
    use_rslora: bool = False
    bias: str = "none"
    init_lora_weights: bool | str | None = True
    alora_invocation_tokens: list[_Token] | None = Field(None, max_length=1024)


class PeftConfig:
    """The checked fields of a PEFT folder's configuration."""

    def __init__(self, path: Path, fields: _Fields) -> None:
        self.path = path
        self.invocation_tokens = tuple(fields.alora_invocation_tokens or ())
        """Of an Activated LoRA (arXiv 2512.17910); else none."""

        self._fields = fields
        self._ranks = self._compiled(fields.rank_pattern)
        self._alphas = self._compiled(fields.alpha_pattern)

    def _compiled(self, patterns: dict[str, Any] | None) -> list[tuple[re.Pattern[str], Any]]:
        compiled = []
        for pattern, value in (patterns or {}).items():
            choices = sum(pattern.count(sign) for sign in "*+?(")
            is_small = choices <= MAX_CHOICES and pattern.count("|") <= MAX_ALTERNATIVES
            try:
                if not is_small or not _HARMLESS_PATTERN.fullmatch(pattern):
                    raise ValueError
                compiled.append((re.compile(rf"(.*\.)?({pattern})$"), value))
            except (ValueError, re.error):
                raise PackError(
                    f"{self.path}: the pattern {pattern!a} is not followed here. Name the modules one by one."
                ) from None
        return compiled

    def rank(self, module: str) -> int:
        """The rank that the adapter of a module has."""
        return int(next((value for pattern, value in self._ranks if pattern.match(module)), self._fields.r))

    def strength(self, module: str) -> float:
        """What a module's alpha would be without rsLoRA: ΔW = strength / rank · B·A."""
        alpha = next((value for pattern, value in self._alphas if pattern.match(module)), self._fields.lora_alpha)
        return float(alpha) * (math.sqrt(self.rank(module)) if self._fields.use_rslora else 1.0)


def read_config(folder: Path) -> PeftConfig:
    """Reads `adapter_config.json`; raises `PackError` for a broken one and for what GGUF cannot express."""
    path = folder / CONFIG
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG + 1)
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Name the folder of a PEFT adapter.") from None
    if len(content) > MAX_CONFIG:
        raise PackError(f"{path}: is larger than {MAX_CONFIG >> 20} MiB. Name the folder of a PEFT adapter.")
    try:
        fields = _Fields.model_validate_json(content)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the file'}: {p['msg']}" for p in error.errors()[:8])
        raise PackError(f"{path}: does not describe a LoRA ({problems[:1000]}). Get the file again.") from None
    if reason := _reason(fields):
        raise PackError(
            f"{path}: cannot become a GGUF adapter: {reason}. "
            "Merge it into its backbone and convert that, or use another adapter."
        )
    return PeftConfig(path, fields)


def _reason(fields: _Fields) -> str:
    """Why an adapter of this configuration cannot be expressed; empty where it can."""
    if fields.bias != "none":
        return _REASONS["lora_bias"]
    if fields.init_lora_weights not in _PLAIN_INITS:
        return f"its training changed the backbone's own weights (init_lora_weights {fields.init_lora_weights!a:.32})"
    for name, value in (fields.__pydantic_extra__ or {}).items():
        if value and name not in _WITHOUT_EFFECT:
            return _REASONS.get(name, f"it uses {name[:64]!a}, which is not known here")
    return ""
