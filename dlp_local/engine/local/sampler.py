"""The next token from the logits of one row of the newest batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_local.core import settings
from dlp_local.engine.local.library import lib

LAST_ROW = -1
"""The last token of a batch for which logits were asked."""

_KEEP_THE_BEST = frozenset("temperature top_k top_p min_p repeat_last seed max_tokens stop".split())
"""Options that, at temperature 0 and without a repeat penalty, change nothing about which token is the best one."""


def is_plain_greedy(options: settings.Sampling) -> bool:
    """Whether the most probable token is the answer's next one as it is, without anything done to the logits."""
    changed = options.model_dump(exclude_defaults=True).keys()
    return options.temperature == 0 and not changed - _KEEP_THE_BEST


class Sampler(Protocol):
    """Draws tokens of one answer."""

    def next_token(self, row: int) -> int:
        """The next token, from the logits of a token of the newest batch, by its index in it, or `LAST_ROW`."""

    def close(self) -> None:
        """Frees it."""


class ChainSampler:
    """llama.cpp's sampler chain: repeat penalty, top-k, top-p, min-p, temperature, seeded draw; greedy at 0."""

    def __init__(self, context: lib.llama_context_p, vocab_size: int, options: settings.Sampling, seed: int) -> None:
        self._context = context
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        stages = []
        if options.repeat_penalty != 1:
            whole = lib.llama_n_ctx(context)  # it takes memory for as many as it is told
            look_back = whole if options.repeat_last < 0 else min(options.repeat_last, whole)
            stages.append(lib.llama_sampler_init_penalties(vocab_size, look_back, options.repeat_penalty, 0.0, 0.0))
        if options.temperature == 0:
            stages.append(lib.llama_sampler_init_greedy())
        else:
            stages += [
                lib.llama_sampler_init_top_k(min(options.top_k, vocab_size)),
                lib.llama_sampler_init_top_p(options.top_p, 1),
                lib.llama_sampler_init_min_p(options.min_p, 1),
                lib.llama_sampler_init_temp(options.temperature),
                lib.llama_sampler_init_dist(seed),
            ]
        for stage in stages:
            lib.llama_sampler_chain_add(self._chain, stage)

    def next_token(self, row: int) -> int:
        """The next token, of which the repeat penalty takes note."""
        return int(lib.llama_sampler_sample(self._chain, self._context, row))

    def close(self) -> None:
        """Frees the chain."""
        lib.llama_sampler_free(self._chain)


class GreedySampler:
    """The first of the most probable tokens, as llama.cpp's greedy sampler.

    That one writes a table of the whole vocabulary first: 0.28 ms of a token for 151,936, and this takes 0.02.
    """

    def __init__(self, logits: Callable[[int], NDArray[np.float32]]) -> None:
        self._logits = logits

    def next_token(self, row: int) -> int:
        """The next token."""
        return int(self._logits(row).argmax())

    def close(self) -> None:
        """Nothing is held."""
