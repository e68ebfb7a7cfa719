"""The tokens of a GGUF file without its weights: rows are trained on as the very tokens that will run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlp_local.engine.local.model_file import load_model
from dlp_local.engine.local.vocabulary import LlamaVocabulary


class GgufVocabulary:
    """The vocabulary of a GGUF file. Raises `PackError` where llama.cpp cannot read it."""

    def __init__(self, path: Path) -> None:
        self._vocabulary = LlamaVocabulary(load_model(path, vocabulary_only=True), path)  # freed with the process

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text; the names of control tokens become those."""
        return self._vocabulary.tokenize(text, special=True)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens print."""
        return b"".join(map(self._vocabulary.piece, tokens)).decode("utf-8", "replace")
