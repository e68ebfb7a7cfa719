"""Probabilities → mix: pure functions (DLP-LoRA, arXiv 2410.01497, section 3: top-p, then normalized weights)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Routing
from dlp_local.core.values import Mix

TOLERANCE = 1e-6
"""Float32 probabilities need not sum to 1 exactly: a head this close to `top_p` has reached it."""


def select(probabilities: Mapping[str, float], options: Routing) -> Mix:
    """The mix for a message's probabilities.

    `base` is an entry like any other, and its share is weight that no adapter gets; so are the shares under 1/32
    that `Mix.of` drops when it rounds to 1/32. Raises `InputError` for no probabilities at all, and for one that is
    not a number from 0 to 1.
    """
    kept = head(probabilities, options.top_p, options.max_adapters)
    return Mix.of(_NORMALIZE[options.normalize](kept))


def head(probabilities: Mapping[str, float], top_p: float, longest: int) -> dict[str, float]:
    """The most probable entries (equals: by name) until they sum to `top_p`; one at least, `longest` at most."""
    if not probabilities or not all(0 <= p <= 1 + TOLERANCE for p in probabilities.values()):
        raise InputError(f"routing: cannot select from {dict(probabilities)}; give each adapter a number from 0 to 1.")
    kept: dict[str, float] = {}
    for name, p in sorted(probabilities.items(), key=lambda entry: (-entry[1], entry[0]))[:longest]:
        if kept and sum(kept.values()) >= top_p - TOLERANCE:
            break
        kept[name] = p
    return kept


def proportional(kept: Mapping[str, float]) -> dict[str, float]:
    """wᵢ = pᵢ / Σp; where every p is 0, all weigh the same."""
    total = sum(kept.values())
    return {name: p / total if total else 1 / len(kept) for name, p in kept.items()}


def softmax(kept: Mapping[str, float]) -> dict[str, float]:
    """wᵢ = exp pᵢ / Σ exp p, over probabilities as the paper's code has it: 0.55 and 0.10 → 0.61 and 0.39."""
    return proportional({name: math.exp(p) for name, p in kept.items()})


_NORMALIZE: Mapping[str, Callable[[Mapping[str, float]], dict[str, float]]] = {
    "proportional": proportional,
    "softmax": softmax,
}
