"""Adapters of several mixes as one of summed rank, so that sequences under different mixes share a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.core.values import Weights
from dlp_local.engine.local.library import rank_step
from dlp_local.engine.local.llama import Adapter, Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.sampler import LAST_ROW
from dlp_local.engine.local.stacking import NotStackableError, Stack

MOST_RANKS = 128
"""Ranks of the adapters in the bank, but for what the running mixes need: each token's time grows with them."""

CLOSE = 0.25
"""Beside what an adapter changes in the logits, the bank's rounding is at most this share (root mean squares)."""

_CHECKED = (1, 2, 3)
"""Tokens that any vocabulary has."""


class Bank:
    """Holds the adapters that were used last, within `MOST_RANKS`, and sets the weights of each token of a batch."""

    def __init__(self, backbone: Backbone, mixer: Mixer) -> None:
        self._backbone, self._mixer = backbone, mixer
        self._names: OrderedDict[str, slice] = OrderedDict()
        """Adapter → its ranks; the most recently used at the end."""

        self._adapter: Adapter | None = None
        self._rank = self._weights = 0
        self._scale = 1.0
        self._rows: dict[Weights, NDArray[np.float32]] = {}

    def holds(self, mixes: Iterable[Weights]) -> bool:
        """Whether the bank has every adapter of some mixes; builds another one where it has not, if it can."""
        names = {name for mix in mixes for name, _ in mix}
        if names <= self._names.keys() and self._adapter:
            for name in names:
                self._names.move_to_end(name)
            return True
        return self._build(names)

    def _build(self, needed: set[str]) -> bool:
        """A bank of what is needed, then of what was used last, then of the pack's other adapters."""
        wanted = dict.fromkeys([*sorted(needed), *reversed(self._names), *self._mixer.names])
        loras, taken = {}, 0
        try:
            for name in wanted:
                lora = self._mixer.lora(name)
                (rank,) = Stack([(lora, 1.0)], uniform=True).slots
                if name in needed or taken + rank <= MOST_RANKS:
                    loras[name], taken = lora, taken + rank
            if not loras:
                return False
            plan = Stack([(lora, 1.0) for lora in loras.values()], rank_step(), uniform=True)
            if plan.size > self._mixer.budget:
                return False
            self.drop()
            self._adapter = self._backbone.load_stack(plan)
            plan.forget_pages()
        except (NotStackableError, DlpLocalError):  # who asks for a bad adapter is told when it is set alone
            return False
        self._rank, self._weights, self._scale = plan.rank, plan.weights, plan.scale
        ends = np.cumsum(plan.slots)
        slots = {name: slice(end - rank, end) for name, end, rank in zip(loras, ends, plan.slots, strict=True)}
        self._names = OrderedDict((name, slots[name]) for name in reversed(loras))
        return True

    def forget(self, name: str) -> None:
        """Drops the bank where it holds an adapter."""
        if name in self._names:
            self.drop()

    def drop(self) -> None:
        """Frees the bank."""
        if self._adapter:
            self._backbone.set_adapters(())
            self._backbone.free_adapter(self._adapter)
        self._adapter = None
        self._names.clear()
        self._rows.clear()

    def set(self, mixes: Sequence[Weights], outputs: int) -> None:
        """Makes the bank active, with the mix of each token of the next batch; the last `outputs` get logits."""
        if not self._adapter or not self._backbone.token_weights:
            raise EngineError("there is no bank of adapters.")
        if self._backbone.active != ((self._adapter, 1.0),):
            self._backbone.set_adapters([(self._adapter, 1.0)])
        rows = np.stack([self._row(mix) for mix in mixes])
        self._backbone.token_weights.use(rows, rows[-outputs:])

    def check_applied(self) -> None:
        """Raises `EngineError` where the last batch did not use the weights of its tokens in every product."""
        if self._backbone.token_weights and self._backbone.token_weights.applied != self._weights:
            raise EngineError("llama.cpp did not mix the adapters of this batch. Set engine.parallel to 1.")

    def _row(self, mix: Weights) -> NDArray[np.float32]:
        if mix not in self._rows:
            row = self._rows[mix] = np.zeros(self._rank, np.float32)
            for name, weight in mix:
                row[self._names[name]] = self._mixer.strength(name, weight) * self._scale
        return self._rows[mix]

    # ---- whether it works ----

    def is_right(self) -> bool:
        """Whether it computes what the adapters alone do, on this build and with this backbone; the cache is empty.

        Compares a batch of two sequences: one that switches to an adapter on its way, and one under another adapter.
        """
        if not self._backbone.token_weights or not self.holds(()):
            return False
        names = list(self._names)
        one, other = (((name, 1.0),) for name in (names[0], names[-1]))
        mixes: list[Weights] = [(), one, one, other]
        rows = [*((token, position, 0) for position, token in enumerate(_CHECKED)), (_CHECKED[0], 0, 1)]
        try:
            self.set(mixes, outputs=2)
            self._backbone.decode_rows(rows, outputs=2)
            self.check_applied()
            banked = [self._backbone.logits(row) for row in (2, 3)]
            alone = [self._alone(mixes[:3], 0), self._alone(mixes[3:], 0)]
            plain = [self._alone([()] * 3, 0), self._alone([()], 0)]
            return all(_is_close(*logits) for logits in zip(banked, alone, plain, strict=True))
        except DlpLocalError:
            return False
        finally:
            self._forget_sequences()

    def _alone(self, mixes: Sequence[Weights], sequence: int) -> NDArray[np.float32]:
        """The logits of the last of so many tokens, each under its mix as the mixer sets it."""
        self._forget_sequences()
        for position, (token, mix) in enumerate(zip(_CHECKED, mixes, strict=False)):
            self._mixer.set(dict(mix))
            self._backbone.decode((token,), position, sequence)
        return self._backbone.logits(LAST_ROW)

    def _forget_sequences(self) -> None:
        for sequence in (0, 1):
            self._backbone.drop(sequence)


def _is_close(banked: NDArray[np.float32], alone: NDArray[np.float32], plain: NDArray[np.float32]) -> bool:
    return bool(np.square(banked - alone).mean() <= CLOSE**2 * np.square(plain - alone).mean())
