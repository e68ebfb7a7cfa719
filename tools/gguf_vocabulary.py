"""The tokens of a GGUF file without its weights: rows are trained on as the very tokens that will run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dlp_local.engine.local.library import lib, start_library
from dlp_local.engine.local.vocabulary import LlamaVocabulary


class GgufVocabulary:
    """The vocabulary of a GGUF file. Raises `ValueError` where llama.cpp cannot read it."""

    def __init__(self, path: Path) -> None:
        start_library()
        params = lib.llama_model_default_params()
        params.vocab_only = True
        model = lib.llama_model_load_from_file(os.fsencode(path), params)  # freed with the process
        if not model:
            raise ValueError(f"{path}: llama.cpp cannot read its vocabulary")
        self._vocabulary = LlamaVocabulary(model, path)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text; the names of control tokens become those."""
        return self._vocabulary.tokenize(text, special=True)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens print."""
        return b"".join(map(self._vocabulary.piece, tokens)).decode("utf-8", "replace")
