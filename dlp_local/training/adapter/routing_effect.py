"""How a pack's router learns a new adapter, and what that changes: what the adapter gets, and what it takes.

An adapter that the router was not trained on gets a detector (`dlp_local.training.router.detector`), fitted on its
messages and on those that the pack knows of its other adapters: their examples, and the anchors that its router was
trained with (centers of its training rows). What it would take is judged crosswise, each half of those messages by a
detector that was fitted on the other; and by everyday messages that are nobody's, of which some are never trained on.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.values import BASE
from dlp_local.pack_router import pack_router
from dlp_local.packs import Pack
from dlp_local.routing import MessageRouter, Router
from dlp_local.training.adapter.events import RoutingEffect
from dlp_local.training.router.background import Background
from dlp_local.training.router.data import hash_position
from dlp_local.training.router.detector import fit_detector, own_odds, shifted
from dlp_local.training.router.fit import TrainedRouter
from dlp_local.training.router.write import read_anchors

MOST_EXAMPLES = 100
"""Messages of its rows that a pack keeps of an adapter."""

FEWEST_JUDGED = 10
"""Examples of another adapter under which half of them would say too little: all of them are known, and judged."""

SHIFTS = (1.0, 0.0, -1.0, -2.0, -3.0, -4.0)
"""What may be added to a detector's log odds: the first with which it takes no more of any other than it may, or else
the least too much."""

MOST_LOST = 0.005
"""Of another adapter's messages, the share that a new one may get, to the nearest whole message."""

EVERYDAY = 0.01
"""Of everyday messages, the share that may come to a new adapter with such a shift."""

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LearntRouting:
    """What a new adapter is known by: examples, and a detector where the router does not know it; and the effect."""

    examples: tuple[str, ...]
    detector: TrainedRouter | None
    effect: RoutingEffect


@dataclass(frozen=True, slots=True)
class _Known:
    """Messages of adapters: embeddings (n, dims), their owners, and a text for each, empty for an anchor."""

    embeddings: Floats
    owners: tuple[str, ...]
    texts: tuple[str, ...]

    def too_many(self, taken: Bools) -> int:
        """How many more messages are taken than may be of each owner's."""
        of_all, lost = Counter(self.owners), Counter(owner for owner, _ in self.told(taken))
        return sum(max(count - round(MOST_LOST * of_all[owner]), 0) for owner, count in lost.items())

    def told(self, taken: Bools) -> list[tuple[str, str]]:
        """Owner and text of what is taken."""
        return [(self.owners[index], self.texts[index]) for index in np.flatnonzero(taken).tolist()]


class RoutingJudge:
    """The routing of a pack without some adapters, which are new to it or trained anew, and what they do to it."""

    def __init__(self, pack: Pack, names: Sequence[str]) -> None:
        """`names`: the adapters that are trained; those of them that the pack has already are replaced."""
        self._pack = pack
        self._trained = frozenset(Router(pack.router_path, 1).labels if pack.router_path else ())
        self._detectors = {name: file for name, file in pack.detectors().items() if name not in names}
        self._known: dict[str, list[str]] = {}
        judged: list[tuple[str, str]] = []
        for name in pack.manifest.enabled:
            if name not in names:
                examples = pack.examples(name)
                by_examples = name not in self._trained and name not in self._detectors
                halves = by_examples and len(examples) >= FEWEST_JUDGED
                self._known[name] = [text for text in examples if not halves or hash_position(text) < 0.5]
                judged += [(text, name) for text in examples if not halves or hash_position(text) >= 0.5]
        adapters = pack.manifest.adapters
        self._stay = {name: adapters[name].examples for name in names if name in adapters}
        self._others = self._router(())
        anchors = self._anchors()
        self._judged = self._messages(judged, anchors)
        self._to_owner = _best(self._others, self._judged.embeddings) == np.array(self._judged.owners, dtype=object)
        self._background = Background.embedded(self._others.example_embeddings, anchors.get(BASE))

    def _messages(self, judged: Sequence[tuple[str, str]], anchors: Mapping[str, Floats]) -> _Known:
        """Texts and their owners, and the anchors of all that are there."""
        of_known = {owner: centers for owner, centers in anchors.items() if owner in self._known}
        embeddings = [self._others.example_embeddings([text for text, _ in judged]), *of_known.values()]
        owners = [owner for _, owner in judged]
        owners += [owner for owner, centers in of_known.items() for _ in centers]
        texts = [text for text, _ in judged]
        return _Known(np.concatenate(embeddings), tuple(owners), (*texts, *[""] * (len(owners) - len(texts))))

    def _anchors(self) -> dict[str, Floats]:
        """By owner the anchors (n, dims) that the pack's router was trained with."""
        router = self._pack.router_path
        anchors, owners = read_anchors(router) if router else (np.zeros((0, 0), np.float32), ())
        if not len(anchors) or anchors.shape[1] != self._others.dims:
            return {}
        return {owner: anchors[[one == owner for one in owners]] for owner in dict.fromkeys(owners)}

    def _router(self, trained: Sequence[str]) -> MessageRouter:
        """The routing of the others, and of some of the new adapters that the router was trained on."""
        return pack_router(
            self._pack,
            min(os.cpu_count() or 1, 4),
            {**self._known, **dict.fromkeys(trained, ())},
            router=self._pack.router_path,
            detectors=self._detectors,
        )

    def learn(
        self, prompts: Mapping[str, Sequence[str]], held_out: Mapping[str, Sequence[str]]
    ) -> dict[str, LearntRouting]:
        """What each new adapter is to be known by, from the messages of its rows; and its effect, with all of them.

        `held_out` are its own messages to judge by.
        """
        embed = self._others.example_embeddings
        own = {name: [*dict.fromkeys((*self._stay.get(name, ()), *texts))] for name, texts in prompts.items()}
        kept = {name: sorted(texts, key=hash_position)[:MOST_EXAMPLES] for name, texts in own.items()}
        embeddings = {name: embed(texts) for name, texts in own.items()}
        to_detect = [name for name in own if name not in self._trained and own[name]]
        trained = [name for name in own if name in self._trained]
        before = self._router(trained) if trained else self._others
        detecting = {name: self._detecting(before, name, embeddings) for name in to_detect}
        detectors = {name: detector for name, (detector, _) in detecting.items()}
        background = self._background.away_from(np.concatenate([*embeddings.values()])).x_held
        learnt = {}
        for name in own:
            if name in detecting:
                taken = detecting[name][1]
            else:
                taken = (_best(before, self._judged.embeddings) == name) & self._to_owner
            comes, nobodys = (_best(before, x, detectors) == name for x in (embed(held_out[name]), background))
            effect = RoutingEffect(
                own=_share(comes),
                judged=len(self._judged.owners),
                taken=tuple(self._judged.told(taken)),
                too_many=self._judged.too_many(taken),
                background=_share(nobodys),
            )
            examples = tuple(text for text in kept[name] if text not in self._stay.get(name, ()))
            learnt[name] = LearntRouting(examples, detectors.get(name), effect)
        return learnt

    def _detecting(self, before: MessageRouter, name: str, new: Mapping[str, Floats]) -> tuple[TrainedRouter, Bools]:
        """The detector of one of the new adapters, whose messages are embedded in `new`; what it takes of the judged.

        Judged crosswise: a detector that was fitted on a message would never take it.
        """
        judged, own = self._judged, new[name]
        always = [(x, other) for other, x in new.items() if other != name]
        always += [(before.example_embeddings(texts), other) for other, texts in self._known.items() if texts]
        background = self._background.away_from(own)

        def fit(used: Bools) -> TrainedRouter:
            owners = [owner for owner, is_used in zip(judged.owners, used.tolist(), strict=True) if is_used]
            owners += [other for x, other in always for _ in x]
            others = np.concatenate([judged.embeddings[used], *(x for x, _ in always)])
            return fit_detector(own, others, owners, background.x)

        odds, is_first = np.zeros(len(judged.owners)), np.arange(len(judged.owners)) % 2 == 0
        for half in (is_first, ~is_first):
            odds[half] = own_odds(fit(~half), judged.embeddings[half])
        detector = fit(np.ones(len(judged.owners), bool))
        nobodys, of_nobodys = own_odds(detector, background.x_held), _most_probable(before, background.x_held)
        of_others = _most_probable(before, judged.embeddings)
        tried = []
        for shift in SHIFTS:
            factor = math.exp(shift)
            taken = (odds * factor > of_others) & self._to_owner
            of_everyday = max(_share(nobodys * factor > of_nobodys) - EVERYDAY, 0.0)
            too_much = judged.too_many(taken) / max(len(taken), 1) + of_everyday
            tried.append((too_much, taken, shift))
        _, taken, shift = min(tried, key=lambda one: one[0])
        return shifted(detector, shift), taken


def _most_probable(router: MessageRouter, embeddings: Floats) -> Floats:
    """The greatest probability (n,) of each message."""
    return np.asarray(router.probabilities(embeddings).max(axis=1, initial=0.0))


def _best(
    router: MessageRouter, embeddings: Floats, detectors: Mapping[str, TrainedRouter] = MappingProxyType({})
) -> npt.NDArray[np.object_]:
    """The most probable adapter (n,) of each message, or `base`; `detectors` are of adapters that the router lacks."""
    columns: list[npt.NDArray[Any]] = [router.probabilities(embeddings)]
    columns += [own_odds(detector, embeddings)[:, None] for detector in detectors.values()]
    names = np.array([*router.labels, *detectors], dtype=object)
    return np.asarray(names[np.concatenate(columns, axis=1).argmax(axis=1)])


def _share(chosen: Bools) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0
