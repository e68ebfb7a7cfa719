"""A GGUF file opened by llama.cpp, whole or its vocabulary alone; and why it does not open."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.engine.local.library import clear_log, last_log, lays_out_weights, lib, start_library
from dlp_local.engine.local.vocabulary import LlamaVocabulary
from dlp_local.formats.gguf import MAGIC

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
}  # fmt: skip
"""What llama.cpp says of a model that it does not load → the same for people, and what helps."""


def load_model(path: Path, *, gpu_layers: int = 0, vocabulary_only: bool = False) -> lib.llama_model_p:
    """llama.cpp's model, to be freed with `llama_model_free`; raises `PackError` for a file that is none."""
    _check_gguf(path)
    start_library()
    clear_log()
    params = lib.llama_model_default_params()
    params.n_gpu_layers = gpu_layers
    params.vocab_only = vocabulary_only
    params.use_extra_bufts = lays_out_weights()
    model = lib.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise PackError(f"{path}: {_why_not_loaded(last_log())}")
    return model


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
    return f"llama.cpp cannot load it: {log}. Get the file again."
