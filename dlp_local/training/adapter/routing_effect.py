"""What a new adapter's examples change in a pack's routing, found before it is there: what it gets, and what it takes.

Judged are the messages that the pack knows of its other adapters: their examples, the anchors that its router was
trained with (centers of its training rows), and everyday messages that are nobody's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlp_local.core.paths import embeddings_file
from dlp_local.core.values import BASE
from dlp_local.packs import Pack
from dlp_local.routing import MessageRouter, Router
from dlp_local.training.adapter.events import RoutingEffect
from dlp_local.training.router.background import Background
from dlp_local.training.router.data import hash_position
from dlp_local.training.router.write import read_anchors

MOST_EXAMPLES = 100
"""Messages of its rows that an adapter is known by."""

FEWEST_JUDGED = 10
"""Examples of another adapter under which half of them would say too little: all of them are known, and judged."""

ROUNDS = 30
"""So often the examples that draw other adapters' messages are left out, before that is given up."""

LOST = 0.005
"""Of an owner's messages, the share that may come to a new adapter, by the mean of what it gets of each."""

NEARLY = 0.05
"""What a new adapter may get of an anchor, where it gets more than `LOST` of an owner's. They are centers of many
messages: some of these are nearer to the new adapter than their center is."""

LEAST_OWN = 0.25
"""Of its own messages, the share that must still come to a new adapter when examples were left out; else all stay."""

EVERYDAY = 0.01
"""Of everyday messages, the share that may come to a new adapter while its examples are chosen: to let none of them
come, nearly all examples of an adapter for everyday commands would be left out."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Messages of one adapter: embeddings (n, dims), and a text for each, empty for an anchor.

    `to_owner`: whether each is routed to its owner today.
    """

    owner: str
    texts: tuple[str, ...]
    embeddings: Floats
    to_owner: npt.NDArray[np.bool_]

    @property
    def are_centers(self) -> bool:
        """Whether these are anchors, which stand for many messages."""
        return not any(self.texts)


class RoutingJudge:
    """The routing of a pack, with and without adapters that are new to it or trained anew."""

    def __init__(self, pack: Pack, names: Sequence[str]) -> None:
        """`names`: the adapters that are trained; those of them that the pack has already are replaced."""
        self._pack = pack
        router = pack.manifest.router
        trained = frozenset(Router(pack.path(router), 1).labels if router else ())
        self._known: dict[str, list[str]] = {}
        judged: dict[str, tuple[str, ...]] = {}
        for name in pack.manifest.enabled:
            if name not in names:
                examples = pack.examples(name)
                halves = name not in trained and len(examples) >= FEWEST_JUDGED
                self._known[name] = [text for text in examples if not halves or hash_position(text) < 0.5]
                judged[name] = tuple(text for text in examples if not halves or hash_position(text) >= 0.5)
        replaced = [name for name in names if name in pack.manifest.adapters]
        self._stay = {name: pack.manifest.adapters[name].examples for name in replaced}
        self._before = self._router({name: pack.examples(name) for name in replaced if name in pack.manifest.enabled})
        embed = self._before.example_embeddings
        self._judged = [self._judge(name, texts, embed(texts)) for name, texts in judged.items() if texts]
        anchors = self._anchors()
        self._judged += [
            self._judge(owner, ("",) * len(centers), centers)
            for owner, centers in anchors.items()
            if owner in self._known
        ]
        self._background = Background.embedded(embed, anchors.get(BASE))

    def _judge(self, owner: str, texts: tuple[str, ...], embeddings: Floats) -> _Judged:
        to_owner = np.array([name == owner for name in _chosen(self._before, embeddings)], bool)
        return _Judged(owner, texts, embeddings, to_owner)

    def _anchors(self) -> dict[str, Floats]:
        """By owner the anchors (n, dims) that the pack's router was trained with."""
        router = self._pack.manifest.router
        anchors, owners = read_anchors(self._pack.path(router)) if router else (np.zeros((0, 0), np.float32), ())
        if not len(anchors) or anchors.shape[1] != self._before.dims:
            return {}
        return {owner: anchors[[one == owner for one in owners]] for owner in dict.fromkeys(owners)}

    def _after(self, new: Mapping[str, Sequence[str]]) -> MessageRouter:
        """The routing with new examples, beside those that `pack.toml` itself has of an adapter."""
        return self._router({name: (*self._stay.get(name, ()), *texts) for name, texts in new.items()})

    def _router(self, others: Mapping[str, Sequence[str]]) -> MessageRouter:
        manifest = self._pack.manifest
        return MessageRouter(
            self._pack.path(manifest.encoder),
            self._pack.path(manifest.encoder.tokenizer),
            self._pack.path(manifest.router) if manifest.router else None,
            min(os.cpu_count() or 1, 4),
            self._known | {name: list(texts) for name, texts in others.items()},
            cache=embeddings_file(manifest.encoder.sha256),
        )

    def examples(self, prompts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The messages that each new adapter is to be known by: of its prompts, those that draw no others' messages.

        Where some still do after a few rounds, or hardly any of its messages would come to it without them, they stay:
        `effects` tells.
        """
        every = {
            name: sorted(set(texts) - {*self._stay.get(name, ())}, key=hash_position)[:MOST_EXAMPLES]
            for name, texts in prompts.items()
        }
        chosen = dict(every)
        for _ in range(ROUNDS):
            drawn = self._drawn(chosen)
            if not any(len(embeddings) for embeddings in drawn.values()):
                break
            for name, embeddings in drawn.items():
                known = self._before.example_embeddings(chosen[name])
                if not len(known):
                    continue
                nearest = set((embeddings @ known.T).argmax(axis=1).tolist())
                if len(nearest) < len(known):
                    chosen[name] = [text for index, text in enumerate(chosen[name]) if index not in nearest]
        after = self._after(chosen)
        own = {name: _share(_chosen(after, after.example_embeddings(texts)), name) for name, texts in every.items()}
        return {name: texts if own[name] >= LEAST_OWN else every[name] for name, texts in chosen.items()}

    def _drawn(self, new: Mapping[str, Sequence[str]]) -> dict[str, Floats]:
        """The embeddings of what each new adapter would take from others, and of everyday messages if it gets many."""
        after = self._after(new)
        background = self._away(self._background, new).x
        nobodys = _chosen(after, background)
        drawn = {}
        for name in new:
            comes = [one == name for one in nobodys]
            drawn[name] = [background[comes] if sum(comes) > EVERYDAY * len(comes) else background[:0]]
            drawn[name] += [judged.embeddings[taken] for judged, taken in self._taken(after, name, nearly=True)]
        return {name: np.concatenate(parts) for name, parts in drawn.items()}

    def _taken(
        self, after: MessageRouter, name: str, *, nearly: bool = False
    ) -> Iterator[tuple[_Judged, npt.NDArray[np.bool_]]]:
        """Which of the judged messages go to a new adapter, and not to their owner as they do today.

        `nearly`: those anchors, too, that come near it, where their owner would lose many messages.
        """
        for judged in self._judged:
            probabilities = after.probabilities(judged.embeddings)
            taken = np.zeros(len(judged.texts), bool)
            if name in after.labels:
                share = probabilities[:, after.labels.index(name)]
                taken = share >= probabilities.max(axis=1)
                if nearly and judged.are_centers and float(share[judged.to_owner].sum()) > LOST * len(share):
                    taken |= share > NEARLY
            yield judged, taken & judged.to_owner

    def _away(self, background: Background, new: Mapping[str, Sequence[str]]) -> Background:
        """Everyday messages that are not of a new adapter's own kind."""
        own = self._before.example_embeddings([text for texts in new.values() for text in texts])
        return background.away_from(own)

    def effects(
        self, new: Mapping[str, Sequence[str]], held_out: Mapping[str, Sequence[str]]
    ) -> dict[str, RoutingEffect]:
        """What changes with the examples in `new`; `held_out` are each new adapter's own messages to judge by."""
        after = self._after(new)
        nobodys = _chosen(after, self._away(self._background, new).x_held)
        taken: dict[str, list[tuple[str, str]]] = {name: [] for name in new}
        for name in new:
            for judged, is_taken in self._taken(after, name):
                taken[name] += [(judged.owner, judged.texts[index]) for index in np.flatnonzero(is_taken).tolist()]
        count = sum(len(judged.texts) for judged in self._judged)
        return {
            name: RoutingEffect(
                own=_share(_chosen(after, after.example_embeddings(held_out[name])), name),
                judged=count,
                taken=tuple(taken[name]),
                background=_share(nobodys, name),
            )
            for name in new
        }


def _chosen(router: MessageRouter, embeddings: Floats) -> list[str]:
    """The most probable adapter of each message, or `base`."""
    if not len(embeddings):
        return []
    return [router.labels[index] for index in router.probabilities(embeddings).argmax(axis=1).tolist()]


def _share(chosen: Sequence[str], name: str) -> float:
    return chosen.count(name) / len(chosen) if chosen else 0.0
