"""A message's way to its mix: encoder → classifier → what the turn before it adds → selection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import PackError
from dlp_local.core.settings import Routing
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import BASE, NearestExample, Route, RouteExplanation
from dlp_local.routing.background_encoder import BackgroundEncoder
from dlp_local.routing.classifier import Classifier
from dlp_local.routing.corrections import Corrections
from dlp_local.routing.detector import Detector
from dlp_local.routing.embedding_cache import EmbeddingCache
from dlp_local.routing.encoder import Encoder
from dlp_local.routing.ends import decisive, ends
from dlp_local.routing.follow_up import carry_over
from dlp_local.routing.parts import SURE_OF_WHOLE, pieces, split
from dlp_local.routing.router import Router
from dlp_local.routing.selection import head, select

Floats = npt.NDArray[np.float32]


class MessageRouter:
    """The encoder and the router of a pack, and what is known of its adapters by examples and corrections alone.

    Messages go to `adapters` (name → examples) and to `base` alone. An adapter that the router was not trained on is
    known by its detector, or else by the prototypes of its examples; one with neither gets no message. An embedding is
    what `Encoder.encode` gives, `dims` its length; `trained_on` is what the router's file says of the encoder it was
    trained on. All methods may be called from any thread.
    """

    def __init__(
        self,
        encoder: Path,
        tokenizer: Path,
        router: Path | None,
        threads: int,
        adapters: Mapping[str, Sequence[str]],
        *,
        detectors: Mapping[str, Path] = MappingProxyType({}),
        corrections: Sequence[tuple[str, str]] = (),
        cache: Path | None = None,
    ) -> None:
        """Loads the files; raises `PackError` for one that is missing or damaged, and for two that do not fit.

        `detectors` are those of some adapters. `corrections` are (text, right adapter or `base`), the oldest first.
        `cache` is where embeddings of examples are kept; it belongs to this encoder alone.
        """
        self._encoder = Encoder(encoder, tokenizer, threads)
        self._background = BackgroundEncoder(self._encoder)
        trained = Router(router, threads) if router else None
        self._cache = EmbeddingCache(cache, self._encoder.dims) if cache else None
        self.dims = self._encoder.dims
        self.trained_on = trained.encoder if trained else ""
        if trained and self.dims != trained.dims:
            raise PackError(
                f"{router}: takes {trained.dims} numbers, but {encoder} gives {self.dims}. "
                "Train the router again on the pack's own encoder."
            )
        known = trained.labels if trained else ()
        self._adapters = {name: tuple(texts) for name, texts in adapters.items()}
        self._absent = set(known) - set(adapters) - {BASE}
        detected = {
            name: Detector(file, self.dims, threads) for name, file in sorted(detectors.items()) if name not in known
        }
        by_examples = self._adapters.keys() - detected.keys() - set(known)
        examples = self._embed_groups({name: self._adapters[name] for name in sorted(by_examples)})
        newest = dict(corrections)
        self._correcting = threading.Lock()
        self._classifier = Classifier.of(
            trained,
            examples,
            Corrections(tuple(newest), self.example_embeddings(list(newest)), tuple(newest.values())),
            self.dims,
            frozenset(self._absent),
            detected,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The adapters that have a probability, and `base`."""
        return self._classifier.labels

    def route(
        self,
        text: str,
        options: Routing,
        previous: Mapping[str, float] | None = None,
        without: Collection[str] = (),
    ) -> Route:
        """Routes what a message asks for; `previous` are the probabilities of the turn before it, if there was one.

        The adapters in `without` are not chosen, and `base` has their share of the mix.

        The route's probabilities are those that the mix was selected from. A message of several tasks has parts, too,
        where the options allow it; one that was corrected is of one task.
        """
        start, classifier, encoding = time.perf_counter(), self._classifier, _Stopwatch()
        excluded = self._absent | set(without)
        where = pieces(text) if options.split and text not in classifier.corrections.texts else ()
        of_pieces = self._background.start([text[piece] for piece in where])

        def encode(texts: Sequence[str]) -> Floats:
            with encoding:
                return self._background.encode(texts)

        _, of_whole, alone = _of_message(classifier, text, encode)
        probabilities = carry_over(alone, previous or {})
        mix = select(moved_to_base(probabilities, excluded), options)
        parts: Sequence[tuple[str, Mapping[str, float]]] = ()
        whole = max((p for name, p in moved_to_base(of_whole, excluded).items() if name != BASE), default=0.0)
        if where and whole < SURE_OF_WHOLE:
            with encoding:
                embeddings = of_pieces.result()
            parts = split(text, where, _selectable(classifier, embeddings, excluded), whole, options.split_at)
        else:
            of_pieces.cancel()
        routes = tuple(Route(part, p, select(p, options)) for part, p in parts)
        total = time.perf_counter() - start
        return Route(text, probabilities, mix, encoding.seconds * 1e3, (total - encoding.seconds) * 1e3, routes)

    def explain(
        self, text: str, options: Routing, previous: Mapping[str, float] | None = None, nearest: int = 5
    ) -> RouteExplanation:
        """Why a message is routed as it is."""
        classifier = self._classifier
        embedding, _, alone = _of_message(classifier, text, self._background.encode)
        carried = carry_over(alone, previous or {})
        selectable = moved_to_base(carried, self._absent)
        kept = head(selectable, options.top_p, options.max_adapters)
        cut = {name: p for name, p in selectable.items() if name not in kept}
        examples = self._nearest_examples(embedding, classifier.corrections, nearest)
        return RouteExplanation(examples, alone, carried, kept, cut)

    def _nearest_examples(self, embedding: Floats, corrections: Corrections, count: int) -> tuple[NearestExample, ...]:
        """The examples and corrected messages whose cosine with a message's embedding (dims,) is greatest."""
        examples = [(name, text) for name, texts in sorted(self._adapters.items()) for text in texts]
        embeddings = np.concatenate([self.example_embeddings([text for _, text in examples]), corrections.embeddings])
        labelled = [*examples, *zip(corrections.labels, corrections.texts, strict=True)]
        cosines = embeddings @ embedding
        nearest = np.argsort(-cosines, kind="stable")[:count].tolist()
        return tuple(
            NearestExample(adapter, text, float(cosines[index]), is_corrected=index >= len(examples))
            for index, (adapter, text) in ((index, labelled[index]) for index in nearest)
        )

    def correct(self, text: str, right: str | None) -> None:
        """From now on a message, and what is almost the same, belongs to another adapter, or to `base`.

        None takes back what was said of it.
        """
        if right is None:
            with self._correcting:
                self._classifier = self._classifier.uncorrected(text)
            return
        (embedding,) = self.example_embeddings([text])
        with self._correcting:
            self._classifier = self._classifier.corrected(text, embedding, right)

    def embeddings(self, texts: Sequence[str]) -> Floats:
        """Embeddings (n, dims) of messages, each as `route` has it."""
        return np.concatenate([np.zeros((0, self.dims), np.float32), *(self._embed(text) for text in texts)])

    def encode(self, texts: Sequence[str]) -> tuple[Floats, int]:
        """The encoder's sentence embeddings (n, d) of any texts, each of the whole text, and how many tokens they have.

        Raises `InputError` for a text that is too long.
        """
        return self._encoder.encode_whole(texts)

    def probabilities(self, embeddings: Floats) -> Floats:
        """Probabilities (n, labels) of embedded messages on their own, in the order of `labels`.

        As a mix is selected from them: `base` has those of adapters that are switched off or gone.
        """
        classifier = self._classifier
        rows = np.zeros((len(embeddings), len(classifier.labels)), np.float32)
        for row, probabilities in zip(rows, _selectable(self._classifier, embeddings, self._absent), strict=True):
            row[:] = [probabilities.get(label, 0.0) for label in classifier.labels]
        return rows

    def _embed(self, text: str) -> Floats:
        """The embedding (1, dims) of what a message asks for."""
        return self._encoder.encode([_request(text)])

    def _embed_groups(self, texts: Mapping[str, Sequence[str]]) -> dict[str, Floats]:
        """The embeddings of each adapter's examples; all are asked of the cache at once."""
        embeddings = self.example_embeddings([text for group in texts.values() for text in group])
        ends = np.cumsum([len(group) for group in texts.values()], dtype=np.intp)
        return dict(zip(texts, np.split(embeddings, ends[:-1]), strict=True)) if texts else {}

    def example_embeddings(self, texts: Sequence[str]) -> Floats:
        """The embeddings (n, dims) of what examples and corrected messages ask for."""
        requests = [_request(text) for text in texts]
        return self._cache.of(requests, self._encoder.encode) if self._cache else self._encoder.encode(requests)


class _Stopwatch:
    """Adds up for how many `seconds` its blocks ran."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start


def _request(text: str) -> str:
    """What of a message is routed."""
    return UserMessage.parse(text).routed


def _of_message(
    classifier: Classifier, text: str, encode: Callable[[Sequence[str]], Floats]
) -> tuple[Floats, Mapping[str, float], Mapping[str, float]]:
    """The embedding (dims,) of a message as a whole, its probabilities, and those that it is routed by.

    An end of a long message may decide; one that was corrected is routed as a whole.
    """
    request = _request(text)
    apart = () if text in classifier.corrections.texts else ends(request)
    embeddings = encode([request, *apart])
    whole, *of_ends = (classifier.probabilities(embedding[None]) for embedding in embeddings)
    return embeddings[0], whole, decisive(whole, of_ends)


def moved_to_base(probabilities: Mapping[str, float], excluded: Collection[str]) -> Mapping[str, float]:
    """Probabilities in which `base` has those of the excluded adapters."""
    moved = sum(p for name, p in probabilities.items() if name in excluded and name != BASE)
    if not moved:
        return probabilities
    rest = {name: p for name, p in probabilities.items() if name not in excluded or name == BASE}
    return rest | {BASE: rest.get(BASE, 0.0) + moved}


def _selectable(classifier: Classifier, embeddings: Floats, excluded: Collection[str]) -> list[Mapping[str, float]]:
    """The probabilities of embedded texts (n, dims), each on its own, as a mix is selected from them."""
    return [moved_to_base(classifier.probabilities(embedding[None]), excluded) for embedding in embeddings]
