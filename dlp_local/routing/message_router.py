"""A message's way to its mix: encoder → router → what the turn before it adds → selection."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path

from dlp_local.errors import PackError
from dlp_local.records import BASE, Route
from dlp_local.routing.encoder import Encoder
from dlp_local.routing.router import Router
from dlp_local.routing.selection import select
from dlp_local.settings import Routing

CARRY = 0.6
"""The chance, before a message is read, that it goes on with the turn before it (`carry_over`)."""


class MessageRouter:
    """The encoder and the router of a pack; `labels` are the adapters that the router knows, and `base`.

    `dims` is the length of an embedding; `trained_on` is what the router's file says of the encoder it was trained on.

    Messages go to `adapters` and to `base` alone. Without a router all of them go to `base`.
    """

    def __init__(
        self, encoder: Path, tokenizer: Path, router: Path | None, threads: int, adapters: Collection[str]
    ) -> None:
        """Loads the three files; raises `PackError` for one that is missing or damaged, and for two that do not fit."""
        self._encoder = Encoder(encoder, tokenizer, threads)
        self._router = Router(router, threads) if router else None
        self.labels = self._router.labels if self._router else (BASE,)
        self.dims = self._encoder.dims
        self.trained_on = self._router.encoder if self._router else ""
        self._off = set(self.labels) - set(adapters) - {BASE}
        if self._router and self._encoder.dims != self._router.dims:
            raise PackError(
                f"{router}: takes {self._router.dims} numbers, but {encoder} gives {self._encoder.dims}. "
                "Train the router again on the pack's own encoder."
            )

    def route(
        self,
        text: str,
        options: Routing,
        previous: Mapping[str, float] | None = None,
        without: Collection[str] = (),
    ) -> Route:
        """Routes one message; `previous` are the probabilities of the turn before it, if there was one.

        The adapters in `without` are not chosen, and `base` has their share of the mix.

        The route's probabilities are those that the mix was selected from, so they are the next turn's `previous`.
        """
        start = time.perf_counter()
        embedding = self._encoder.encode([text])
        embedded = time.perf_counter()
        row = self._router.probabilities(embedding)[0].tolist() if self._router else [1.0]
        probabilities = carry_over(dict(zip(self.labels, row, strict=True)), previous or {})
        mix = select(vetoed(probabilities, self._off | set(without)), options)
        done = time.perf_counter()
        return Route(text, probabilities, mix, embed_ms=(embedded - start) * 1e3, route_ms=(done - embedded) * 1e3)


def vetoed(probabilities: Mapping[str, float], without: Collection[str]) -> Mapping[str, float]:
    """Probabilities in which those of some adapters went to `base`."""
    gone = sum(p for name, p in probabilities.items() if name in without and name != BASE)
    if not gone:
        return probabilities
    left = {name: p for name, p in probabilities.items() if name not in without or name == BASE}
    return left | {BASE: left.get(BASE, 0.0) + gone}


def carry_over(probabilities: Mapping[str, float], previous: Mapping[str, float]) -> dict[str, float]:
    """What a message's own probabilities qᵢ become after a turn with probabilities rᵢ: pᵢ ∝ qᵢ · ((1-κ)/n + κ·rᵢ).

    This is one step of a hidden Markov model whose task stays with chance κ = `CARRY` and else is drawn anew from the
    n labels: a sure message decides alone, an unsure one follows the turn before. A `previous` that says nothing
    about these labels changes nothing.

    Measured by `tools.router_follow_ups` (top-1, turns of the valid rows, follow-ups in wordings not trained on):

        follow-up that names a thing of its task (47 wordings)   55.3 % alone   89.1 % carried
        follow-up that could follow anything (12 wordings)        9.7 % alone   50.1 % carried
        `extract` row that answers a question, after `extract`   99.0 % alone  100.0 % carried
        message of another task, or of a task after `base`       99.4 % alone   99.1 % carried
        `base` message after a task                              93.7 % alone   91.7 % carried

    κ = 0.5 loses 4 points of each kind of follow-up and gives back 0.7 of `base`; 0.8 is the other way, +4 and +16 for
    -1.5. Linear mixing by the entropy of q, at the same loss of `base`, keeps 11 points fewer follow-ups of a task and
    17 more of those of anything. The wordings helped to choose κ, so new ones will do a little worse.
    """
    known = {name: max(previous.get(name, 0.0), 0.0) for name in probabilities}
    total = sum(known.values())
    if not total:
        return dict(probabilities)
    floor = (1 - CARRY) / len(known)
    joint = {name: p * (floor + CARRY * known[name] / total) for name, p in probabilities.items()}
    scale = sum(joint.values())
    return {name: p / scale for name, p in joint.items()} if scale else dict(probabilities)
