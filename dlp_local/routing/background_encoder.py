"""Embeddings of texts that may be needed in a moment, made on the cores that are free meanwhile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dlp_local.routing.encoder import Encoder, Vectors


class BackgroundEncoder:
    """Threads that live as long as a router, one fewer than there are cores: the caller's own thread is the other."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        others = (os.cpu_count() or 1) - 1
        self._pool = ThreadPoolExecutor(others, "encoder") if others else None

    def start(self, texts: Sequence[str]) -> PendingEmbeddings:
        """Begins with the texts, each in a batch of its own, so that its embedding is the one that it has alone."""
        if self._pool is None:
            return PendingEmbeddings(self._encoder, texts, [None] * len(texts))
        begun = [self._pool.submit(self._encoder.encode, [text]) for text in texts]
        return PendingEmbeddings(self._encoder, texts, begun)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embeddings (n, dims) of texts, each as it is alone: the first one is made here, the others meanwhile."""
        others = self.start(texts[1:])
        return np.concatenate([self._encoder.encode(texts[:1]), others.result()])


class PendingEmbeddings:
    """The embeddings of some texts, which are being made; None for one that is left to the caller's thread."""

    def __init__(self, encoder: Encoder, texts: Sequence[str], begun: Sequence[Future[Vectors] | None]) -> None:
        self._encoder, self._texts, self._begun = encoder, texts, begun

    def result(self) -> Vectors:
        """Embeddings (n, dims) of the texts; those that no thread has begun with are made here, the last one first."""
        made: list[Vectors | Future[Vectors]] = []
        for text, future in reversed(list(zip(self._texts, self._begun, strict=True))):
            made.append(self._encoder.encode([text]) if future is None or future.cancel() else future)
        parts = (part.result() if isinstance(part, Future) else part for part in reversed(made))
        return np.concatenate([np.zeros((0, self._encoder.dims), np.float32), *parts])

    def cancel(self) -> None:
        """Gives up those that no thread has begun with."""
        for future in self._begun:
            if future is not None:
                future.cancel()
