"""What llama.cpp's context is asked for: cells, sequences, batches, attention."""

from __future__ import annotations

from dlp_local.core import settings
from dlp_local.engine.local.library import lib, offloads
from dlp_local.engine.local.memory import keeps_scores, kept_contexts, prompt_batch

FLASH_ATTENTION = {
    "auto": lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
KV_TYPES = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0, "q4_0": lib.GGML_TYPE_Q4_0}

KEPT_HISTORIES = 4
"""Histories in the KV cache for each reply that may run: conversations, also under mixes with `scope = "context"`."""

MOST_SEQUENCES = 256
"""llama.cpp's own limit."""


def context_params(options: settings.Engine, trained: int, threads: int) -> lib.llama_context_params:
    """The parameters for a model that was trained on contexts of `trained` tokens."""
    params = lib.llama_context_default_params()
    context = min(options.context, trained)
    params.n_ctx = context * kept_contexts(options)
    params.n_batch = params.n_ubatch = min(prompt_batch(options), context)
    params.n_seq_max = min(options.parallel * (1 + KEPT_HISTORIES), MOST_SEQUENCES)
    params.n_outputs_max = params.n_seq_max  # logits of one token a sequence, not of all: megabytes less
    params.kv_unified = True
    params.n_threads = params.n_threads_batch = threads
    params.no_perf = True
    without_flash = keeps_scores(options) and not offloads(options)
    params.flash_attn_type = FLASH_ATTENTION["off" if without_flash else options.flash_attention]
    params.type_k = params.type_v = KV_TYPES[options.kv_type]
    return params


def adapts_threads(options: settings.Engine) -> bool:
    """Whether the number of threads may follow how busy the machine is.

    Flash attention sums in the order of the threads: the answer would depend on that. Beside others it is the same to
    rounding only.
    """
    beside_others = options.parallel > 1
    may_differ = keeps_scores(options) or (beside_others and not options.fixed_threads)
    return may_differ and not offloads(options) and not options.threads
