"""The training loop: adapters of one backbone fitted side by side, each on its own stream of batches.

A `Trainer` is stepped from outside: between two steps it can be asked how far it is, saved, or left. It goes on from
what it saved. Its schedule counts seconds or steps (`Budget`); time that passed before a save counts as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from dlp_local.core.files import written_aside
from tools.side_by_side.adapters import AdapterBank
from tools.side_by_side.backbone import Backbone, KeyValues, after_prefix
from tools.side_by_side.data import NOBODY, Batch, attention_bias
from tools.side_by_side.optimizer import BankOptimizer

Tensor = Any
WARM_UP, LOWEST = 0.03, 0.02
"""The share of an adapter's time in which its rate rises, and the rate's share that is left at its end."""

KEPT_PREFIXES = 4

ALIGNMENT = 8
"""Attention's columns are a multiple of it, as fast kernels want them."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: `seconds`, or else `steps`."""

    seconds: float | None = None
    steps: int | None = None

    def share(self, seconds: float, steps: int) -> float:
        """What share of the budget is spent, from 0 to 1."""
        spent, whole = (steps, self.steps or 0) if self.seconds is None else (seconds, self.seconds)
        return min(1.0, spent / whole) if whole > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How one adapter is trained.

    `begin` and `end`: its share of the whole training, in which its rate rises to `rate` and falls along a cosine.
    """

    rate: float = 1e-3
    decay: float = 0.01
    dropout: float = 0.0
    slots: int = 1
    begin: float = 0.0
    end: float = 1.0

    def rate_at(self, share: float) -> float:
        """The learning rate where `share` of the whole training is over; 0 outside the adapter's time."""
        if not self.begin <= share < self.end:
            return 0.0
        own = (share - self.begin) / (self.end - self.begin)
        if own < WARM_UP:
            return self.rate * max(own / WARM_UP, 0.01)
        cosine = 0.5 * (1 + math.cos(math.pi * (own - WARM_UP) / (1 - WARM_UP)))
        return self.rate * (LOWEST + (1 - LOWEST) * cosine)


@dataclass(slots=True)
class Progress:
    """How far a training is: `losses` are means a token since they were last asked for, by adapter."""

    share: float = 0.0
    steps: int = 0
    seconds: float = 0.0
    tokens: int = 0
    losses: dict[str, float] = field(default_factory=dict)


class Trainer:
    """Fits the adapters of a bank.

    `streams` give batches of one shape: one for each slot of an adapter and step. `prefixes` gives, for each step, the
    tokens that stand before its rows (system prompt, earlier turns), or none.
    """

    def __init__(
        self,
        backbone: Backbone,
        bank: AdapterBank,
        plans: Mapping[str, Plan],
        streams: Mapping[str, Iterator[Batch]],
        prefixes: Iterator[Sequence[int]],
        budget: Budget,
    ) -> None:
        self.backbone, self.bank, self.plans, self.budget = backbone, bank, dict(plans), budget
        self._streams, self._prefixes = streams, prefixes
        self.optimizer = BankOptimizer(bank.tensors, len(bank.names))
        self._decay = self._values([self.plans[name].decay for name in bank.names])
        self._steps, self._tokens, self._before = 0, 0, 0.0
        self._since = time.monotonic()
        self._loss_sums = torch.zeros(2, len(bank.names), device=backbone.device)
        self._known: dict[tuple[int, ...], KeyValues] = {}

    def _values(self, values: Sequence[float]) -> Tensor:
        return self._moved(torch.tensor(values, dtype=torch.float32))

    def _moved(self, tensor: Tensor) -> Tensor:
        """A tensor on the backbone's device, without waiting for what is computed there."""
        device = self.backbone.device
        return tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor.to(device)

    @property
    def seconds(self) -> float:
        """How long the training took so far, what was saved of it counted in."""
        return self._before + time.monotonic() - self._since

    @property
    def share(self) -> float:
        """The share of the budget that is spent."""
        return self.budget.share(self.seconds, self._steps)

    def _prefix(self) -> KeyValues:
        """The next prefix, computed; the first few that differ are kept, for they are the usual ones."""
        tokens = tuple(next(self._prefixes))
        prefix = self._known.get(tokens)
        if prefix is None:
            prefix = self.backbone.prefix(tokens)
            if len(self._known) < KEPT_PREFIXES:
                self._known[tokens] = prefix
        return prefix

    def step(self) -> bool:
        """One step of all adapters whose time it is; False, and nothing done, where the budget is spent."""
        share = self.share
        if share >= 1:
            return False
        rates = [self.plans[name].rate_at(share) for name in self.bank.names]
        slots = [i for i, rate in enumerate(rates) if rate for _ in range(self.plans[self.bank.names[i]].slots)]
        if slots:
            self._learn(slots)
            self.optimizer.step(self._values(rates), self._decay)
        self._steps += 1
        return True

    def _learn(self, slots: list[int]) -> None:
        """Gradients of the loss of one batch a slot: the mean of each adapter's weighted tokens, summed."""
        parts = [next(self._streams[self.bank.names[i]]) for i in slots]
        rows = parts[0].ids.shape[0]

        def stacked(name: str) -> Tensor:
            return self._moved(torch.cat([torch.from_numpy(getattr(part, name)) for part in parts]))

        owners = torch.tensor(slots).repeat_interleave(rows * parts[0].ids.shape[1])
        weights = torch.cat([torch.from_numpy(part.weights) for part in parts]).flatten()
        learned = weights.nonzero().flatten()
        owners, weights = owners[learned], weights[learned]
        totals = torch.zeros(len(self.bank.names)).index_add_(0, owners, weights)
        weights, learned, owners = map(self._moved, (weights / totals[owners], learned, owners))

        prefix = self._prefix()
        length = prefix[0][0].shape[2]
        padding = -(length + parts[0].ids.shape[1]) % ALIGNMENT
        bias = attention_bias(stacked("segments"), length, padding, self.backbone.dtype)
        padded = [tuple(functional.pad(one, (0, 0, 0, padding)) for one in pair) for pair in prefix]
        dropout = [self.plans[self.bank.names[i]].dropout for i in slots]
        keep = 1 - self._values(dropout)[:, None, None] if any(dropout) else None
        indices = self._moved(torch.tensor(slots))
        hidden = self.backbone.hidden(
            stacked("ids"),
            stacked("positions") + length,
            after_prefix(padded, bias),
            self.bank.slots(indices, self.backbone.dtype),
            keep,
            len(slots),
        )
        logits = self.backbone.logits(hidden.flatten(0, 1)[learned])
        losses = functional.cross_entropy(logits.float(), stacked("targets").flatten()[learned], reduction="none")
        (losses * weights).sum().backward()
        self._loss_sums.index_add_(1, owners, torch.stack((losses.detach(), torch.ones_like(losses))))
        self._tokens += int(sum((part.segments != NOBODY).sum() for part in parts))

    def progress(self) -> Progress:
        """How far the training is."""
        sums, counts = self._loss_sums.tolist()
        self._loss_sums.zero_()
        losses = {name: s / n for name, s, n in zip(self.bank.names, sums, counts, strict=True) if n}
        return Progress(self.share, self._steps, self.seconds, self._tokens, losses)

    def save(self, path: Path) -> None:
        """Writes everything that going on needs, whole or not at all."""
        state = {
            "names": list(self.bank.names),
            "tensors": self.bank.tensors,
            "optimizer": self.optimizer.state(),
            "steps": self._steps,
            "tokens": self._tokens,
            "seconds": self.seconds,
        }
        with written_aside(path) as part:
            torch.save(state, part)

    def restore(self, path: Path) -> None:
        """Goes on from a saved training of the same adapters. Raises `ValueError` where they are others."""
        state = torch.load(path, map_location=self.backbone.device, weights_only=True)
        if state["names"] != list(self.bank.names):
            raise ValueError(f"{path} is the training of {', '.join(state['names'])}")
        with torch.no_grad():
            for name, tensor in self.bank.tensors.items():
                tensor.copy_(state["tensors"][name])
        self.optimizer.restore(state["optimizer"])
        self._steps, self._tokens, self._before = state["steps"], state["tokens"], state["seconds"]
        self._since = time.monotonic()
