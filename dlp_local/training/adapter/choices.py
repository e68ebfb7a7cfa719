"""What a training is done with: by the number of rows where a person says nothing, told, and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.text import unknown_name
from dlp_local.core.values import Scope

METHODS: Mapping[str, str] = {
    "lora": "low-rank adaptation (arXiv 2106.09685)",
    "rslora": "LoRA scaled by 1/√rank (arXiv 2312.03732)",
    "lora+": "LoRA whose B learns 16 times as fast as A (arXiv 2402.12354)",
    "cola": "a chain of LoRAs, each on what the ones before left (arXiv 2401.04151)",
    "xgb": "many rank-1 LoRAs in turn, each on some of the layers (arXiv 2410.19694)",
    "multilora": "several LoRAs side by side with learnt scales (arXiv 2311.11501)",
    "share": "one A for each kind of weight in all layers (arXiv 2406.10785)",
    "ca": "LoRA that learns from a less compressed backbone's, too (arXiv 2307.07705)",
    "flora": "several adapters in one run, each row under its own (arXiv 2312.05677)",
    "mtl": "several tasks on shared B's, weighted for each (arXiv 2410.09437)",
}
"""Name → what it is. `flora` and `mtl` are for several adapters at once, `ca` takes a teacher."""

SEVERAL = frozenset({"flora", "mtl"})
"""The methods that train several adapters in one run."""

CONTINUED = frozenset({"lora", "rslora", "lora+", "ca"})
"""The methods that may begin with another adapter."""

OF_METHODS = {"links": ("cola", "multilora", "mtl"), "booster_steps": ("xgb",), "booster_layers": ("xgb",)}
"""The choices that count for some methods alone."""

UNTOLD_ZEROS = frozenset({"batch_rows", "dropout"})
"""The choices of which nothing is told where they are 0."""

OPTIMIZERS = ("adamw", "rite")
PRESETS = ((60, 6, 64), (150, 6, 96), (600, 3, 128), (2000, 3, 256))
"""(rows, epochs, tokens of a batch): up to so many rows, each is learnt from so often, in batches of so many tokens.

Small batches are many steps: of forty rows of `actions`, 222 steps of 64 tokens got 16 of 100 valid rows right, 102 of
128 tokens 8, and 54 of 256 tokens 6.
"""

OF_MORE = (2, 512)
"""Epochs, and tokens of a batch, of more rows than that."""

MOST_RANK, MOST_EPOCHS, MOST_BATCH_TOKENS, MOST_BATCH_ROWS = 256, 1000, 1 << 16, 4096


@dataclass(frozen=True, slots=True)
class Choices:
    """How an adapter is trained; 0 leaves `epochs`, `batch_tokens` and `alpha` to the preset.

    `batch_rows`: a batch told in rows of their mean length, which then counts in place of `batch_tokens`. `rate`: the
    learning rate, which rises over 5 % of the steps and falls along a cosine. `dropout`: the share of the numbers that
    A sees which is left out at random, others in each step (PEFT's `lora_dropout`). `links`: the links of a chain, the
    parts of MultiLoRA, the B's of MTL-LoRA. `booster_steps` and `booster_layers`: how long a booster of XGBLoRA is
    trained, and on what share of the layers. `start`: the adapter to begin with. `teacher`: a less compressed GGUF of
    the same model to learn from, too, under that adapter.
    """

    method: str = "lora"
    optimizer: str = "adamw"
    rank: int = 8
    alpha: float = 0.0
    rate: float = 2e-3
    decay: float = 0.01
    dropout: float = 0.0
    epochs: int = 0
    batch_tokens: int = 0
    batch_rows: int = 0
    scope: Scope = "turn"
    seed: int = 0
    links: int = 3
    booster_steps: int = 8
    booster_layers: float = 0.5
    start: Path | None = None
    teacher: Path | None = None

    def __post_init__(self) -> None:
        for what, name, known in (("method", self.method, METHODS), ("optimizer", self.optimizer, OPTIMIZERS)):
            if name not in known:
                raise InputError(unknown_name(what, name, known))
        bounds = {
            "rank": (1, MOST_RANK),
            "alpha": (0, 1e6),
            "rate": (1e-9, 1.0),
            "decay": (0.0, 1.0),
            "dropout": (0.0, 0.9),
            "epochs": (0, MOST_EPOCHS),
            "batch_tokens": (0, MOST_BATCH_TOKENS),
            "batch_rows": (0, MOST_BATCH_ROWS),
            "links": (1, 64),
            "booster_steps": (1, 10_000),
            "booster_layers": (1e-6, 1.0),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"{name}: {value:g} is none. Give a number from {least:g} to {most:g}.")
        if self.method == "ca" and not (self.teacher and self.start):
            raise InputError(
                "method ca: learns from a less compressed backbone and its adapter. Name their GGUFs with --teacher "
                "and --start."
            )
        if self.teacher and self.method != "ca":
            raise InputError(f"--teacher: method {self.method} has none. Use --method ca, or leave it out.")
        if self.start and self.method not in CONTINUED:
            raise InputError(f"--start: method {self.method} begins anew. Use --method lora, or leave it out.")
        if self.optimizer == "rite" and self.method in ("multilora", "share", "mtl"):
            raise InputError(
                f"--optimizer rite: works on pairs of A and B, and method {self.method} has none. Use adamw."
            )

    def for_rows(self, rows: int, row_tokens: float = 0.0) -> Choices:
        """With the preset for a number of rows to train on, of `row_tokens` on average, wherever nothing was chosen."""
        of_rows = next((each[1:] for each in PRESETS if rows <= each[0]), OF_MORE)
        return replace(
            self,
            epochs=self.epochs or of_rows[0],
            batch_tokens=min(round(self.batch_rows * row_tokens), MOST_BATCH_TOKENS) or self.batch_tokens or of_rows[1],
            alpha=self.alpha or 2.0 * self.rank,
        )

    @property
    def is_of_several(self) -> bool:
        """Whether the method trains several adapters in one run."""
        return self.method in SEVERAL

    def told(self) -> dict[str, Any]:
        """Those that count for the method, and are set, for people to read."""
        of_others = {key for key, methods in OF_METHODS.items() if self.method not in methods}
        values = {key: value for key, value in self.as_dict().items() if key not in of_others}
        return {key: value for key, value in values.items() if value is not None and (value or key not in UNTOLD_ZEROS)}

    def as_dict(self) -> dict[str, Any]:
        """The choices as JSON has them."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
