"""A message's way to its mix: encoder → router → what the turn before it adds → selection."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import PackError
from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE, NearestExample, Route, RouteExplanation
from dlp_local.routing.corrections import Corrections
from dlp_local.routing.embedding_cache import EmbeddingCache
from dlp_local.routing.encoder import Encoder
from dlp_local.routing.prototypes import BASE_AT, BIAS, SCALE, UNTRAINED_BASE_AT, Prototypes, joined
from dlp_local.routing.router import Router
from dlp_local.routing.selection import head, select

CARRY = 0.6
"""The chance, before a message is read, that it goes on with the turn before it (`carry_over`)."""

Floats = npt.NDArray[np.float32]


class MessageRouter:
    """The encoder and the router of a pack, and what is known of its adapters by examples and corrections alone.

    An adapter that the router was not trained on has its prototypes (`prototypes.py`); one without examples gets no
    message. `dims` is the length of an embedding; `trained_on` is what the router's file says of the encoder it was
    trained on.

    Messages go to `adapters` (name → examples) and to `base` alone. All methods may be called from any thread.
    """

    def __init__(
        self,
        encoder: Path,
        tokenizer: Path,
        router: Path | None,
        threads: int,
        adapters: Mapping[str, Sequence[str]],
        *,
        corrections: Sequence[tuple[str, str]] = (),
        cache: Path | None = None,
    ) -> None:
        """Loads the files; raises `PackError` for one that is missing or damaged, and for two that do not fit.

        `corrections` are (text, right adapter or `base`), the oldest first. `cache` is where embeddings of examples are
        kept; it belongs to this encoder alone.
        """
        self._encoder = Encoder(encoder, tokenizer, threads)
        self._router = Router(router, threads) if router else None
        self._cache = EmbeddingCache(cache, self._encoder.dims) if cache else None
        self.dims = self._encoder.dims
        self.trained_on = self._router.encoder if self._router else ""
        if self._router and self.dims != self._router.dims:
            raise PackError(
                f"{router}: takes {self._router.dims} numbers, but {encoder} gives {self.dims}. "
                "Train the router again on the pack's own encoder."
            )
        self._adapters = {name: tuple(texts) for name, texts in adapters.items()}
        self._trained = self._router.labels if self._router else ()
        self._off = set(self._trained) - set(adapters) - {BASE}
        self._untrained = self._embedded(name for name in self._adapters if name not in self._trained)
        newest = dict(corrections)
        self._correcting = threading.Lock()
        self._known = self._learnt(Corrections(tuple(newest), self._kept(list(newest)), tuple(newest.values())))

    @property
    def labels(self) -> tuple[str, ...]:
        """The adapters that have a probability, and `base`."""
        return self._known.labels

    def _learnt(self, corrections: Corrections) -> _Known:
        """The prototypes of what the router was not trained on, corrected messages among their examples."""
        examples = {name: np.concatenate([own, corrections.of(name)]) for name, own in self._untrained.items()}
        return _Known(self._trained, Prototypes.of(examples, self.dims), corrections)

    def _embedded(self, names: Iterable[str]) -> dict[str, Floats]:
        """The embeddings of some adapters' examples; all are asked of the cache at once."""
        texts = {name: self._adapters[name] for name in names}
        vectors = self._kept([text for own in texts.values() for text in own])
        found: dict[str, Floats] = {}
        start = 0
        for name, own in texts.items():
            found[name] = vectors[start : start + len(own)]
            start += len(own)
        return found

    def _kept(self, texts: Sequence[str]) -> Floats:
        return self._cache.of(texts, self._encoder.encode) if self._cache else self._encoder.encode(texts)

    def correct(self, text: str, right: str) -> None:
        """From now on a message, and what is almost the same, belongs to another adapter, or to `base`."""
        (vector,) = self._kept([text])
        with self._correcting:
            self._known = self._learnt(self._known.corrections.add(text, vector, right))

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
        probabilities = carry_over(self._alone(embedding), previous or {})
        mix = select(vetoed(probabilities, self._off | set(without)), options)
        done = time.perf_counter()
        return Route(text, probabilities, mix, embed_ms=(embedded - start) * 1e3, route_ms=(done - embedded) * 1e3)

    def explain(
        self, text: str, options: Routing, previous: Mapping[str, float] | None = None, nearest: int = 5
    ) -> RouteExplanation:
        """Why a message is routed as it is."""
        embedding = self._encoder.encode([text])
        alone = self._alone(embedding)
        carried = carry_over(alone, previous or {})
        open_to = vetoed(carried, self._off)
        kept = head(open_to, options.top_p, options.max_adapters)
        corrected = self._known.corrections
        known = [(name, example) for name, texts in sorted(self._adapters.items()) for example in texts]
        vectors = np.concatenate([self._kept([example for _, example in known]), corrected.embeddings])
        names = [*known, *zip(corrected.labels, corrected.texts, strict=True)]
        cosines = vectors @ embedding[0]
        examples = tuple(
            NearestExample(names[index][0], names[index][1], float(cosines[index]), index >= len(known))
            for index in np.argsort(-cosines, kind="stable")[:nearest].tolist()
        )
        cut = {name: p for name, p in open_to.items() if name not in kept}
        return RouteExplanation(examples, alone, carried, kept, cut)

    def embeddings(self, texts: Sequence[str]) -> Floats:
        """Embeddings (n, dims) of messages, each as `route` has it."""
        return np.concatenate([np.zeros((0, self.dims), np.float32), *(self._encoder.encode([text]) for text in texts)])

    def probabilities(self, embeddings: Floats) -> Floats:
        """Probabilities (n, labels) of embedded messages on their own, in the order of `labels`.

        As a mix is selected from them: `base` has those of adapters that are switched off or gone.
        """
        labels = self.labels
        found = np.zeros((len(embeddings), len(labels)), np.float32)
        for row, embedding in zip(found, embeddings, strict=True):
            probabilities = vetoed(self._alone(embedding[None]), self._off)
            row[:] = [probabilities.get(label, 0.0) for label in labels]
        return found

    def _alone(self, embedding: Floats) -> dict[str, float]:
        """What one message, embedded as (1, dims), says by itself."""
        known = self._known
        found, rivals = self._read(embedding)
        if len(known.labels) > len(self._trained):
            new = known.new.similarities(embedding)
            if BASE not in self._trained:
                at = UNTRAINED_BASE_AT if self._router else BASE_AT
                new = np.append(new, np.array([[at - BIAS / SCALE]], np.float32), axis=1)
            found = joined(found, rivals, new)
        probabilities = dict(zip(known.labels, found[0].tolist(), strict=True))
        return known.corrections.apply(probabilities, embedding[0])

    def _read(self, embedding: Floats) -> tuple[Floats, Floats]:
        """The router's probabilities (1, trained labels), and how near their prototypes are.

        A router that knows `base` is right about a message that is near to nothing: such a message counts as `BASE_AT`
        near to each of its labels, and each message to `base`.
        """
        if self._router is None:
            return np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32)
        if not self._router.has_prototypes:
            found = self._router.probabilities(embedding)
            return found, np.full_like(found, BASE_AT)
        found, near = self._router.with_similarities(embedding)
        if BASE in self._trained:
            near = np.where(np.array(self._trained) == BASE, np.float32(BASE_AT), np.maximum(near, np.float32(BASE_AT)))
        return found, near


@dataclass(frozen=True, slots=True)
class _Known:
    """What can change while messages are routed, as one value."""

    trained: tuple[str, ...]
    new: Prototypes
    corrections: Corrections

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.trained, *self.new.labels, *(() if BASE in self.trained else (BASE,)))


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

        follow-up that names a thing of its task (47 wordings)   63.8 % alone   87.2 % carried
        follow-up that could follow anything (12 wordings)       11.1 % alone   74.2 % carried
        `extract` row that answers a question, after `extract`   98.0 % alone  100.0 % carried
        message of another task, or of a task after `base`       99.6 % alone   99.2 % carried
        `base` message after a task                              95.7 % alone   94.2 % carried

    κ was chosen with an earlier router: 0.5 loses 4 points of each kind of follow-up and gives back 0.7 of `base`; 0.8
    is the other way, +4 and +16 for -1.5. Linear mixing by the entropy of q, at the same loss of `base`, keeps 11
    points fewer follow-ups of a task and 17 more of those of anything. The wordings helped to choose κ, so new ones
    will do a little worse.
    """
    known = {name: max(previous.get(name, 0.0), 0.0) for name in probabilities}
    total = sum(known.values())
    if not total:
        return dict(probabilities)
    floor = (1 - CARRY) / len(known)
    joint = {name: p * (floor + CARRY * known[name] / total) for name, p in probabilities.items()}
    scale = sum(joint.values())
    return {name: p / scale for name, p in joint.items()} if scale else dict(probabilities)
