"""Whether a bank computes what its adapters alone do: on this build, with this backbone and these adapters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.values import Weights
from dlp_local.engine.local.bank import Bank
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.sampler import LAST_ROW

CLOSE = 0.25
"""Beside what an adapter changes in the logits, the bank's rounding is at most this share (root mean squares)."""

_TEXT = "The quick brown fox jumps over the lazy dog."
"""Ordinary tokens: what a model makes of control tokens alone can hang on the last bit."""

_PARTS, _LENGTH = 3, 3
"""Parts of the text that are looked at, and the tokens of each."""


def open_bank(backbone: Backbone, mixer: Mixer) -> Bank | None:
    """A bank that was seen to be right, on an empty cache; None where there can be none.

    Compares batches of two sequences: one that switches to an adapter on its way, and one under another adapter. Most
    of them must be close, for single ones hang on the last bit.
    """
    bank = Bank(backbone, mixer)
    try:
        if backbone.token_weights and bank.build(()) and _Check(backbone, mixer, bank).is_right():
            return bank
    except DlpLocalError:
        pass
    bank.drop()
    return None


class _Check:
    def __init__(self, backbone: Backbone, mixer: Mixer, bank: Bank) -> None:
        self._backbone, self._mixer, self._bank = backbone, mixer, bank

    def is_right(self) -> bool:
        tokens, names = self._backbone.vocabulary.tokenize(_TEXT, special=False), self._bank.names
        if len(tokens) < _PARTS * _LENGTH:
            return False
        shares: list[float] = []
        try:
            for part in range(_PARTS):
                of_part = tokens[part * _LENGTH : (part + 1) * _LENGTH]
                shares += self._rounding(of_part, names[part % len(names)], names[-1 - part % len(names)])
        finally:
            self._forget_sequences()
        return float(np.median(shares)) <= CLOSE

    def _rounding(self, tokens: Sequence[int], name: str, other: str) -> list[float]:
        """How far the bank's logits are from the adapters' own, by what these change, for the ends of two sequences."""
        one, two = ((name, 1.0),), ((other, 1.0),)
        switched: list[Weights] = [(), *[one] * (len(tokens) - 1)]
        rows = [*((token, position, 0) for position, token in enumerate(tokens)), (tokens[0], 0, 1)]
        self._forget_sequences()
        self._bank.set([*switched, two], outputs=2)
        self._backbone.decode_rows(rows, outputs=2)
        self._bank.check_applied()
        banked = [self._backbone.logits(row) for row in (len(tokens) - 1, len(tokens))]
        alone = [self._alone(tokens, switched), self._alone(tokens, [two])]
        plain = [self._alone(tokens, [()] * len(tokens)), self._alone(tokens, [()])]
        return [_share(*logits) for logits in zip(banked, alone, plain, strict=True)]

    def _alone(self, tokens: Sequence[int], mixes: Sequence[Weights]) -> NDArray[np.float32]:
        """The logits of the last of so many tokens as there are mixes, each under its own as the mixer sets it."""
        self._forget_sequences()
        for position, (token, mix) in enumerate(zip(tokens, mixes, strict=False)):
            self._mixer.set(dict(mix))
            self._backbone.decode((token,), position, 0)
        return self._backbone.logits(LAST_ROW)

    def _forget_sequences(self) -> None:
        for sequence in (0, 1):
            self._backbone.drop(sequence)


def _share(banked: NDArray[np.float32], alone: NDArray[np.float32], plain: NDArray[np.float32]) -> float:
    return math.sqrt(float(np.square(banked - alone).mean()) / max(float(np.square(plain - alone).mean()), 1e-30))
