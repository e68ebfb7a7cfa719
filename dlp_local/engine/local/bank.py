"""Adapters of several mixes as one of summed rank, so that sequences under different mixes share a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Generator, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import DlpLocalError, EngineError, PackError
from dlp_local.core.values import Weights
from dlp_local.engine.local.library import rank_step
from dlp_local.engine.local.llama import Adapter, Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.stacking import NotStackableError, Stack
from dlp_local.formats.lora import LoraFile

MOST_RANKS = 128
"""Ranks of the adapters in the bank, but for what the running mixes need: each token's time grows with them."""

MOST_KEPT = 1024
"""Mixes whose weights are kept as rows, and sets of adapters that are known to make no bank."""


class Bank:
    """Holds the adapters that were used last, within `MOST_RANKS`, and sets the weights of each token of a batch."""

    def __init__(self, backbone: Backbone, mixer: Mixer) -> None:
        self._backbone, self._mixer = backbone, mixer
        self._slots: OrderedDict[str, slice] = OrderedDict()
        """Adapter → its ranks; the most recently used at the end."""

        self._adapter: Adapter | None = None
        self._rank = self._weights = 0
        self._scale = 1.0
        self._rows: dict[Weights, NDArray[np.float32]] = {}
        self._building: Generator[None, None, None] | None = None
        self._impossible: set[frozenset[str]] = set()
        """What no bank can be built of."""

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that it holds, the most recently used at the end."""
        return tuple(self._slots)

    def holds(self, mixes: Iterable[Weights]) -> bool:
        """Whether it has every adapter of some mixes."""
        names = _names(mixes)
        if not self._adapter or not names <= self._slots.keys():
            return False
        for name in names:
            self._slots.move_to_end(name)
        return True

    def build_on(self, mixes: Iterable[Weights]) -> bool:
        """Builds a little of a bank with every adapter of some mixes; True once it is there, or if it cannot be.

        What is in use stays until then; what another one began is built to its end first.
        """
        names = frozenset(_names(mixes))
        if names in self._impossible or self.holds(mixes):
            return True
        self._building = self._building or self._build(names)
        for _ in self._building:
            return False
        self._building = None
        return self.holds(mixes) or names in self._impossible

    def build(self, mixes: Collection[Weights]) -> bool:
        """Builds a bank with every adapter of some mixes; False where it cannot be."""
        while not self.build_on(mixes):
            pass
        return self.holds(mixes)

    def _build(self, needed: frozenset[str]) -> Generator[None, None, None]:
        try:
            yield from self._load(needed)
        except (NotStackableError, DlpLocalError, OSError):  # who asks for a bad adapter is told when it is set alone
            if len(self._impossible) >= MOST_KEPT:
                self._impossible.clear()
            self._impossible.add(needed)

    def _load(self, needed: frozenset[str]) -> Generator[None, None, None]:
        """A bank of what is needed, then of what was used last, then of the pack's other adapters; file by file."""
        loras: dict[str, LoraFile] = {}
        plan = None
        for name in dict.fromkeys([*sorted(needed), *reversed(self._slots), *self._mixer.names]):
            try:
                lora = self._mixer.lora(name)
                larger = Stack([(one, 1.0) for one in (*loras.values(), lora)], rank_step(), uniform=True)
            except (NotStackableError, PackError):
                if name in needed:
                    raise
                continue
            if name not in needed and sum(larger.slots) > MOST_RANKS:
                break
            loras[name], plan = lora, larger
            yield
        if not plan or plan.size > self._mixer.budget:
            raise NotStackableError("no adapters, or no room for them")
        adapter = yield from self._backbone.loading_stack(plan)
        plan.forget_pages()
        self._drop_held()
        self._adapter, self._rank, self._weights, self._scale = adapter, plan.rank, plan.weights, plan.scale
        ends = np.cumsum(plan.slots)
        slots = {name: slice(end - rank, end) for name, end, rank in zip(loras, ends, plan.slots, strict=True)}
        self._slots = OrderedDict((name, slots[name]) for name in reversed(loras))

    def forget(self, name: str) -> None:
        """Drops the bank where it holds an adapter, and what is being built."""
        self._give_up()
        self._impossible.clear()
        if name in self._slots:
            self._drop_held()

    def drop(self) -> None:
        """Frees everything."""
        self._give_up()
        self._drop_held()

    def _give_up(self) -> None:
        if self._building:
            self._building.close()
        self._building = None

    def _drop_held(self) -> None:
        if self._adapter:
            self._backbone.set_adapters(())
            self._backbone.free_adapter(self._adapter)
        self._adapter = None
        self._slots.clear()
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
            if len(self._rows) >= MOST_KEPT:
                self._rows.clear()
            row = self._rows[mix] = np.zeros(self._rank, np.float32)
            for name, weight in mix:
                row[self._slots[name]] = self._mixer.strength(name, weight) * self._scale
        return self._rows[mix]


def _names(mixes: Iterable[Weights]) -> set[str]:
    return {name for mix in mixes for name, _ in mix}
