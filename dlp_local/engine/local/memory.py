"""What a backbone will take of the machine's memory, told before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from dlp_local.core import settings
from dlp_local.core.errors import EngineError
from dlp_local.core.text import size_text
from dlp_local.formats.gguf import Value, architecture, read_leading_values, whole_number

KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Bytes of one number in the KV cache."""

SCORE_BYTES = 6
"""A number of attention's scores as f32, and once more as f16 where the values, of that type, are weighed by them."""

MASK_BYTES = 4

MOST_CONTEXTS = 4
"""Replies at once share the cells of so many contexts at most: few conversations fill their context."""

SHARED_BATCH = 128
"""Tokens of a prompt that are computed at once where several replies may run, so that none waits long for another's."""

SPARE = 128 << 20
"""What Python and llama.cpp's other buffers take besides: activations, and the logits of a token for each sequence."""

ADAPTER_SHARE = 16
"""Adapters and stacks are kept in a sixteenth of the machine's memory unless the settings say otherwise."""


def adapter_memory(options: settings.Engine) -> int:
    """Bytes for adapters and stacked mixes."""
    return options.adapter_memory << 20 or int(psutil.virtual_memory().total) // ADAPTER_SHARE


def kept_contexts(options: settings.Engine) -> int:
    """How many whole contexts the KV cache has cells for."""
    return min(options.parallel, MOST_CONTEXTS)


def prompt_batch(options: settings.Engine) -> int:
    """Tokens of a batch, at most."""
    return options.batch if options.parallel == 1 else min(options.batch, SHARED_BATCH)


def keeps_scores(options: settings.Engine) -> bool:
    """Whether attention on the CPU computes all scores of a batch before it uses them: without flash attention.

    `auto` is off there for one reply at a time, unless the KV cache is quantized, which needs it. It costs more than it
    saves (docs/benchmarks.md): after 4,000 tokens a message of 64 and each token of its answer are read and written
    faster without it, in exchange for the memory of the scores. With several at a time it passes over the cells of
    other conversations, whose scores are computed without it.
    """
    if options.flash_attention == "auto":
        return options.kv_type == "f16" and options.parallel == 1
    return options.flash_attention == "off"


def score_bytes_per_token(values: Mapping[str, Value], context: int, options: settings.Engine) -> int:
    """Bytes that a token of the context takes in the scores of a batch: one for each head and token of the batch."""
    if not keeps_scores(options):
        return 0
    heads = whole_number(values, f"{architecture(values)}.attention.head_count", 1)
    return min(prompt_batch(options), context) * (heads * SCORE_BYTES + MASK_BYTES)


def kv_bytes_per_token(values: Mapping[str, Value], kv_type: str) -> float:
    """Bytes that a token takes in the KV cache of a model with this header (`{arch}.attention.…`)."""
    arch = architecture(values)
    heads = max(1, whole_number(values, f"{arch}.attention.head_count", 1))
    width = whole_number(values, f"{arch}.embedding_length", 0) // heads
    lengths = sum(whole_number(values, f"{arch}.attention.{part}_length", width) for part in ("key", "value"))
    kv_heads = whole_number(values, f"{arch}.attention.head_count_kv", heads)
    return whole_number(values, f"{arch}.block_count", 0) * kv_heads * lengths * KV_BYTES[kv_type]


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a backbone takes: `fixed` (its `file`, adapters, buffers), and what `context` tokens take.

    That is the KV cache, and the scores of a batch against the whole context.
    """

    file: int
    fixed: int
    context: int
    per_token: float

    @property
    def total(self) -> int:
        """All of it."""
        return self.fixed + int(self.context * self.per_token)


def needed_memory(backbone: Path, adapters: Sequence[Path], options: settings.Engine) -> Need:
    """What a backbone will take on the CPU: its file, its context, and those adapters that may be held at a time."""
    values = read_leading_values(backbone)
    trained = whole_number(values, f"{architecture(values)}.context_length", 0) or options.context  # 0: not known
    context = min(options.context, trained)
    file = backbone.stat().st_size
    largest = sum(path.stat().st_size for path in adapters if path.is_file())
    fixed = file + min(largest, adapter_memory(options)) + SPARE
    per_token = kv_bytes_per_token(values, options.kv_type) + score_bytes_per_token(values, context, options)
    return Need(file, fixed, context * kept_contexts(options), per_token)


def check_memory(backbone: Path, adapters: Sequence[Path], options: settings.Engine) -> None:
    """Raises `EngineError` with the numbers and a way out where a backbone would not fit the free memory."""
    need = needed_memory(backbone, adapters, options)
    free = psutil.virtual_memory().available
    if need.total <= free:
        return
    fits = int((free - need.fixed) // need.per_token) // 256 * 256 if need.per_token and free > need.fixed else 0
    way_out = f"set engine.context to {fits} or less" if fits >= 512 else "use a smaller backbone"
    raise EngineError(
        f"{backbone}: needs about {size_text(need.total)} ({size_text(need.file)} the file, "
        f"{size_text(need.context * need.per_token)} a context of {need.context} tokens), and {size_text(free)} of "
        f"memory are free. Close other programs, or {way_out}; engine.check_memory=false tries it all the same."
    )
