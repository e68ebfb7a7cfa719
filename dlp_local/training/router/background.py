"""Messages that belong to no adapter: they keep `base` safe, whatever a router is trained on.

`background.txt` holds small talk and everyday requests, one a line. A part of them is never trained on, and a router is
judged by these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlp_local.training.router.data import hash_position

HELD_OUT = 0.2
"""The share of the messages that are not trained on."""

SIMILAR = 0.6
"""Cosine from which on a background message counts as the nearest adapter's, not as nobody's."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Background:
    """Embeddings (n, d) of background messages to train on, and (m, d) to judge by."""

    x: Floats
    x_held: Floats

    @classmethod
    def embedded(cls, embed: Callable[[Sequence[str]], Floats], rehearsed: Floats | None = None) -> Background:
        """The bundled messages, embedded by `embed`, and to train on another router's anchors of `base` (a, d)."""
        texts = background_messages()
        embeddings, is_held = embed(texts), np.array([hash_position(text) < HELD_OUT for text in texts])
        x = embeddings[~is_held]
        return cls(x if rehearsed is None else np.concatenate([x, rehearsed]), embeddings[is_held])

    def away_from(self, embeddings: Floats) -> Background:
        """The messages that are not `SIMILAR` to any of some adapters' rows (k, d)."""
        return Background(_away(self.x, embeddings), _away(self.x_held, embeddings))


def background_messages() -> list[str]:
    """The bundled messages."""
    return Path(__file__).with_name("background.txt").read_text("utf-8").splitlines()


def _away(x: Floats, embeddings: Floats) -> Floats:
    is_away: npt.NDArray[np.bool_] = (x @ embeddings.T).max(axis=1, initial=-1) < SIMILAR
    return x[is_away]
