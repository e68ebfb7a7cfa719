"""The next token from the logits of one row of the newest batch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlp_local.core import settings
from dlp_local.core.errors import InputError
from dlp_local.engine.local.library import lib

LAST_ROW = -1
"""The last token of a batch for which logits were asked."""

Biases = tuple[tuple[int, float], ...]
"""Token → what is added to its logit."""

_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama.cpp's `llama_token_data`."""

_KEEP_THE_BEST = frozenset("temperature top_k top_p min_p repeat_last seed max_tokens stop".split())
"""Options that, at temperature 0 and without penalties, change nothing about which token is the best one."""


def is_plain_greedy(options: settings.Sampling) -> bool:
    """Whether the most probable token is the answer's next one as it is, without anything done to the logits."""
    changed = options.model_dump(exclude_defaults=True).keys()
    return options.temperature == 0 and not changed - _KEEP_THE_BEST


class Candidates:
    """The tokens of a vocabulary with their logits, as llama.cpp's samplers take and change them."""

    def __init__(self, size: int) -> None:
        self._data = np.zeros(size, _TOKEN_DATA)
        self._ids = np.arange(size, dtype=np.int32)
        self._array = lib.llama_token_data_array()
        self.reference = ctypes.byref(self._array)
        """What the library's functions are given."""

    def fill(self, logits: NDArray[np.float32], ids: NDArray[np.int32] | None = None) -> Any:
        """Takes these logits, of all tokens in order or of these `ids`; returns the reference."""
        self._data["id"], self._data["logit"], self._data["p"] = self._ids if ids is None else ids, logits, 0
        self._array.data = self._data.ctypes.data_as(lib.llama_token_data_p)
        self._array.size, self._array.selected, self._array.sorted = len(self._data), -1, False
        return self.reference

    def ban(self, tokens: Collection[int]) -> None:
        """Makes tokens impossible, before any sampler has put them into another order."""
        self._data["logit"][list(tokens)] = -np.inf

    def kept(self, tokens: Collection[int]) -> dict[int, float]:
        """The logits of some tokens, to `restore`."""
        return {token: float(self._data["logit"][token]) for token in tokens}

    def restore(self, logits: Mapping[int, float]) -> None:
        """Gives tokens their logits back."""
        for token, logit in logits.items():
            self._data["logit"][token] = logit

    def has_finite(self) -> bool:
        """Whether any token is possible."""
        return bool(np.isfinite(self._data["logit"]).any())

    @property
    def selected(self) -> int:
        """The token that a chain has chosen; it may have put them into another order, and elsewhere."""
        return int(self._array.data[self._array.selected].id)


class Sampler(Protocol):
    """Draws tokens of one answer."""

    def next_token(self, row: int) -> int:
        """The next token, from the logits of a token of the newest batch, by its index in it, or `LAST_ROW`."""

    def close(self) -> None:
        """Frees it."""


class ChainSampler:
    """llama.cpp's sampler chain: biases, penalties, top-k, top-p, min-p, temperature, seeded draw; greedy at 0.

    Raises `InputError` for a bias of a token that the vocabulary has not.
    """

    def __init__(
        self, context: lib.llama_context_p, vocab_size: int, options: settings.Sampling, seed: int, biases: Biases
    ) -> None:
        if unknown := [token for token, _ in biases if token >= vocab_size]:
            raise InputError(f"answer format: a bias for token {unknown[0]}; the backbone has 0 to {vocab_size - 1}.")
        self._context, self.vocab_size = context, vocab_size
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        stages = []
        if biases:
            entries = (lib.llama_logit_bias * len(biases))(*biases)
            stages.append(lib.llama_sampler_init_logit_bias(vocab_size, len(biases), entries))
        whole = lib.llama_n_ctx(context)  # penalties take memory for as many tokens as they are told
        if options.repeat_penalty != 1:
            look_back = whole if options.repeat_last < 0 else min(options.repeat_last, whole)
            stages.append(lib.llama_sampler_init_penalties(vocab_size, look_back, options.repeat_penalty, 0.0, 0.0))
        if options.frequency_penalty or options.presence_penalty:  # these are of the whole answer, as OpenAI's are
            counted = 1.0, options.frequency_penalty, options.presence_penalty
            stages.append(lib.llama_sampler_init_penalties(vocab_size, whole, *counted))
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
        """The next token, of which the penalties take note."""
        return int(lib.llama_sampler_sample(self._chain, self._context, row))

    def draw(self, candidates: Candidates) -> int:
        """A token out of candidates; nobody takes note of it."""
        lib.llama_sampler_apply(self._chain, candidates.reference)
        return candidates.selected

    def accept(self, token: int) -> None:
        """Lets the penalties take note of a token that was drawn."""
        lib.llama_sampler_accept(self._chain, token)

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
