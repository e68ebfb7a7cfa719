"""A GGUF file opened by llama.cpp, whole, without its weights or its vocabulary alone; and why it does not open."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.engine.local.library import clear_log, last_log, lays_out_weights, lib, start_library
from dlp_local.engine.local.vocabulary import LlamaVocabulary
from dlp_local.formats.gguf import MAGIC, read_leading_values
from dlp_local.formats.model_numbers import unusable_number

_NEWER = "Use another backbone, or a newer llama-cpp-python"
_ANOTHER = "Get another file of this model, or convert it anew with llama.cpp's convert_hf_to_gguf.py"
_REASONS = {
    r"unknown model architecture: '([^']*)'": (
        "is of an architecture that this llama.cpp does not know ('{}')", _NEWER,
    ),
    r"unknown pre-tokenizer type: '([^']*)'": (
        "has a vocabulary that this llama.cpp does not know how to apply ('{}')", _NEWER,
    ),
    r"unknown tokenizer: '([^']*)'": ("has a vocabulary of a kind that this llama.cpp does not know ('{}')", _NEWER),
    r"key not found in model: (tokenizer\.\S+)": ("has no vocabulary: its header lacks {}", _ANOTHER),
    r"cannot find tokenizer (\w+)": ("has a part of a vocabulary alone: its header lacks the {}", _ANOTHER),
    r"key not found in model: (\S+)": ("cannot be used: its header lacks {}", _ANOTHER),
    r"tensor '([^']*)' not found": ("cannot be used: it lacks weights that its header promises, as {}", _ANOTHER),
    r"tensor '([^']*)' has wrong shape": ("cannot be used: {} has another shape than its header says", _ANOTHER),
    r"wrong number of tensors; expected (\d+)": (
        "cannot be used: it has other weights than the {} that its header promises", _ANOTHER,
    ),
    r"key (\S+) has wrong": ("cannot be used: its header has {} in a form that llama.cpp does not read", _ANOTHER),
    r"error loading model hyperparameters: (.*)": ("cannot be used: numbers in its header contradict each other ({})",
        _ANOTHER,
    ),
    r"tensor '([^']*)' data is not within the file": ("is cut off: {} is not all there", "Get the file again"),
    r"(gguf_init)\w*: ": ("is cut off or damaged: its header cannot be read", "Get the file again"),
}  # fmt: skip
"""What llama.cpp says of a model that it does not load → the same for people, and what helps."""


_PLACE = "llama_model_load: error loading model: "
"""Where in llama.cpp it was told."""


def load_model(
    path: Path, *, gpu_layers: int = 0, vocabulary_only: bool = False, weights: bool = True
) -> lib.llama_model_p:
    """llama.cpp's model, to be freed with `llama_model_free`; raises `PackError` for a file that is none.

    Without `weights` all of the file is checked but what its weights are, which takes no longer where they are many.
    """
    _check_gguf(path)
    if not vocabulary_only:
        check_numbers(path)
    start_library()
    clear_log()
    params = lib.llama_model_default_params()
    params.n_gpu_layers = gpu_layers
    params.vocab_only = vocabulary_only
    params.use_extra_bufts = weights and lays_out_weights()
    if not weights:
        params.no_alloc, params.load_mode = True, lib.LLAMA_LOAD_MODE_NONE
    model = lib.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise PackError(f"{path}: {_why_not_loaded(last_log())}")
    return model


def check_numbers(path: Path) -> None:
    """Raises `PackError` for numbers at which llama.cpp would end the process; what cannot be read, it tells itself."""
    problem = ""
    with contextlib.suppress(PackError):
        problem = unusable_number(read_leading_values(path))
    if problem:
        raise PackError(f"{path}: cannot be used: {problem}. {_ANOTHER}.")


def check_model(path: Path) -> None:
    """Raises `PackError` for a file whose header and weights do not make a model; none of the weights is read."""
    lib.llama_model_free(load_model(path, weights=False))


@contextlib.contextmanager
def open_vocabulary(path: Path) -> Iterator[LlamaVocabulary]:
    """The vocabulary and the chat template of a model, none of whose weights is read; raises `PackError`."""
    model = load_model(path, vocabulary_only=True)
    try:
        yield LlamaVocabulary(model, path)
    finally:
        lib.llama_model_free(model)


def _check_gguf(path: Path) -> None:
    """Raises `PackError` unless the file is there, can be read and starts as a GGUF file does."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack and the file's rights.") from None
    if magic != MAGIC:
        raise PackError(f"{path}: is not a GGUF file. Convert the model to GGUF or name another file in pack.toml.")


def _why_not_loaded(log: str) -> str:
    """Why llama.cpp does not load a model, and what helps, from what it says."""
    for words, (reason, advice) in _REASONS.items():
        if match := re.search(words, log):
            return f"{reason.format(match[1][:60])}. {advice}."
    return f"llama.cpp cannot load it: {log.removeprefix(_PLACE)}. Get the file again."
