"""Numbers in a model's header at which llama.cpp would not refuse the file, but end the process."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dlp_local.formats.gguf import Value, architecture

MOST_LAYERS = 512
"""llama.cpp's own limit (`LLAMA_MAX_LAYERS`)."""

_EPSILONS = ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon")


def unusable_number(values: Mapping[str, Value]) -> str:
    """What is wrong with the numbers of layers and of norms; empty where nothing is, or they are not stated."""
    kind = architecture(values)
    layers = values.get(f"{kind}.block_count")
    if layers and not (isinstance(layers.value, int) and 1 <= layers.value <= MOST_LAYERS):
        return f"{kind}.block_count is {_shown(layers)}, and models have 1 to {MOST_LAYERS} layers"
    for name in _EPSILONS:
        epsilon = values.get(f"{kind}.{name}")
        if epsilon and not (isinstance(epsilon.value, float) and 0 <= epsilon.value < math.inf):
            return f"{kind}.{name} is {_shown(epsilon)}, and it must be a small number, 0 or more"
    return ""


def _shown(value: Value) -> str:
    return str(value.value)[:40]
