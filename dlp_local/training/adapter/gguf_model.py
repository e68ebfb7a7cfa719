"""A GGUF file as transformers' model: its own weights, dequantized, in float32.

Transformers reads GGUF itself, but fewer architectures, and not all that llama.cpp computes with (the sizes of Qwen 3's
and Gemma's heads, Llama 3's frequencies); and it takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlp_local.core.errors import PackError
from dlp_local.core.text import counted, visible
from dlp_local.formats.gguf import Header, read_header
from dlp_local.formats.gguf import Tensor as Place
from dlp_local.formats.peft.target import Target
from dlp_local.training.adapter.gguf_config import Family, Numbers, config_values, family_of

ROPE_FREQUENCIES = "rope_freqs.weight"
"""What llama.cpp divides the frequencies of Llama 3's positions by."""


def load_model(path: Path, target: Target) -> Any:
    """The causal language model in a GGUF file; `target` is the same file's.

    Raises `PackError` for a damaged file, an architecture that is not known here, and for a file that holds weights
    which would not be computed with, or lacks some that would.
    """
    import transformers

    header = read_header(path)
    numbers = Numbers(path, header)
    family = family_of(numbers)
    values = config_values(numbers, family)
    with _quiet():
        config = _config(path, family, values)
        kind = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        with torch.device("meta"):
            shapes = {name: tuple(tensor.shape) for name, tensor in kind(config).named_parameters()}
        weights = _Weights(path, header, target, family.norms_plus_one)
        model = kind.from_pretrained(
            None,
            config=config,
            state_dict={name: weights.parameter(name, shape) for name, shape in shapes.items()},
            dtype=torch.float32,
            attn_implementation="eager" if values.get("attn_logit_softcapping") else "sdpa",
        )
    if ROPE_FREQUENCIES in header.tensors:
        frequencies = model.model.rotary_emb.inv_freq
        frequencies /= weights.tensor(ROPE_FREQUENCIES, tuple(frequencies.shape))
    if unused := sorted(header.tensors.keys() - weights.used):
        raise PackError(
            f"{path}: holds {counted(len(unused), 'weight')} that nothing is computed with here ({unused[0]}). "
            "Use another backbone."
        )
    return model


def _config(path: Path, family: Family, values: Mapping[str, Any]) -> Any:
    import transformers

    try:
        return transformers.AutoConfig.for_model(family.model_type, **values)
    except Exception as error:  # what a configuration is checked with has errors of its own, by version
        *_, reason = type(error).__name__, *str(error).split("\n")
        raise PackError(
            f"{path}: its header does not describe a model ({visible(reason.strip())}). Get the model again."
        ) from None


class _Weights:
    """A file's tensors, by the names and in the order of transformers; `used` are those that were read."""

    def __init__(self, path: Path, header: Header, target: Target, norms_plus_one: bool) -> None:
        self._path, self._header, self._target, self._norms_plus_one = path, header, target, norms_plus_one
        self._file = np.memmap(path, np.uint8, "r")
        self.used: set[str] = set()

    def parameter(self, name: str, shape: tuple[int, ...]) -> Any:
        """The tensor of a parameter of transformers' model."""
        module, _, kind = name.rpartition(".")
        values = self.tensor(f"{self._target.stem(module)}.{kind}", shape)
        try:
            rows = self._target.weight(module).rows
        except ValueError:
            rows = None
        if rows is not None:
            values = values[np.argsort(rows)]
        return values - 1 if self._norms_plus_one and self._target.is_norm(module) else values

    def tensor(self, name: str, shape: tuple[int, ...]) -> Any:
        """A tensor by its name in the file, dequantized."""
        if (place := self._header.tensors.get(name)) is None:
            raise PackError(f"{self._path}: has no {name}, and so is no whole model. Get it again.")
        if place.shape[::-1] != shape:
            raise PackError(
                f"{self._path}: its {name} is of the shape {place.shape[::-1]}, where its header asks for {shape}. "
                "Get the model again."
            )
        self.used.add(name)
        return torch.from_numpy(self._dequantized(name, place))

    def _dequantized(self, name: str, place: Place) -> NDArray[np.float32]:
        import gguf

        try:
            kind = gguf.GGMLQuantizationType(place.kind)
            values, size = gguf.GGML_QUANT_SIZES[kind]
            raw = self._file[place.offset : place.offset + prod(place.shape) // values * size]
            given = gguf.dequantize(raw.reshape(*place.shape[:0:-1], -1), kind).reshape(place.shape[::-1])
        except (ValueError, KeyError, NotImplementedError) as error:
            raise PackError(f"{self._path}: its weight {name} cannot be dequantized ({error}). Get it again.") from None
        return np.array(given, np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers without its bars and hints; they ask for nothing, and nobody could answer."""
    from transformers.utils import logging

    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()
