"""The sentence encoder: texts → unit vectors, on onnxruntime, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from dlp_local.core.errors import PackError
from dlp_local.routing.onnx_session import NEXT_STEP, first_line, open_session

MAX_TOKENS = 256
"""Tokens of a text that is read whole: what all-MiniLM-L6-v2 was trained for."""

END_TOKENS = 32
"""Tokens at each end that stand for a longer text, which asks at its beginning or at its end.

Of requests before (after) 400 tokens of prose the bundled router knows 75 % (75 %) by these ends, 71 % (69 %) by ends
of 64 tokens, 49 % (47 %) by 128, and 47 % (17 %) by the first 256 tokens.
"""

END_CHARACTERS = 32 * MAX_TOKENS
"""Of a longer text as much at each end is tokenized, so that 1 MB costs no more than 16 kB."""

BATCH_TOKENS = 2048
"""Tokens of one batch, padding included: bounds the memory that attention takes."""

Vectors = npt.NDArray[np.float32]


class Encoder:
    """A sentence-transformers model exported by `tools/export_encoder.py`.

    The ONNX file takes `input_ids` and `attention_mask`, int64 (batch, sequence), and gives `embedding`, float32
    (batch, dims) of unit length. `dims` is the length of an embedding.
    """

    def __init__(self, model: Path, tokenizer: Path, threads: int) -> None:
        """Loads both files; raises `PackError` that names the one that is missing, damaged or of another kind."""
        self._session = open_session(model, threads)
        inputs = {value.name for value in self._session.get_inputs()}
        if not {"input_ids", "attention_mask"} <= inputs <= {"input_ids", "attention_mask", "token_type_ids"}:
            raise PackError(f"{model}: not a sentence encoder, its inputs are {sorted(inputs)}. {NEXT_STEP}")
        shapes = {value.name: value.shape for value in self._session.get_outputs()}
        shape = shapes.get("embedding", [])
        if len(shape) != 2 or not isinstance(shape[1], int):
            raise PackError(f"{model}: not a sentence encoder, its outputs are {shapes}. {NEXT_STEP}")
        self.dims: int = shape[1]
        self._typed = "token_type_ids" in inputs
        self._tokenizer = _open_tokenizer(tokenizer)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embeddings of `texts`, float32 (n, dims), each of unit length, in the order of the texts.

        Of a text of more than `MAX_TOKENS` tokens `END_TOKENS` at each end count; the empty text has an embedding like
        any other. Batches hold texts of similar length; a text's embedding in a batch and alone have a cosine of 0.998
        or more.
        """
        ids = [_ends(self._tokenizer.encode(_clean(text)).ids) or [0] for text in texts]
        embeddings = np.zeros((len(texts), self.dims), np.float32)
        for rows in _batches([len(row) for row in ids]):
            embeddings[rows] = self._run([ids[row] for row in rows])
        return embeddings

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all texts, as far as they are read."""
        return sum(len(_ends(self._tokenizer.encode(_clean(text)).ids)) for text in texts)

    def _run(self, ids: list[list[int]]) -> Vectors:
        """One batch, padded to its longest text."""
        longest = max(map(len, ids))
        input_ids = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros_like(input_ids)
        for row, tokens in enumerate(ids):
            input_ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": input_ids, "attention_mask": mask}
        if self._typed:
            feed["token_type_ids"] = np.zeros_like(input_ids)
        return np.asarray(self._session.run(["embedding"], feed)[0], np.float32)


def _open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer without truncation and padding."""
    if not path.is_file():
        raise PackError(f"{path}: there is no such file. {NEXT_STEP}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise PackError(f"{path}: not a usable tokenizer: {first_line(error)}. {NEXT_STEP}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _clean(text: str) -> str:
    """The part of a text that can count, with `?` for lone surrogates, which no tokenizer takes."""
    if len(text) > 2 * END_CHARACTERS:
        text = f"{text[:END_CHARACTERS]} {text[-END_CHARACTERS:]}"
    return text.encode("utf-8", "replace").decode("utf-8")


def _ends(tokens: list[int]) -> list[int]:
    """The tokens of a text, or its first and last ones where they are too many."""
    return tokens if len(tokens) <= MAX_TOKENS else tokens[:END_TOKENS] + tokens[-END_TOKENS:]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of the texts, shortest first, in batches of at most `BATCH_TOKENS` tokens (always at least one text)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
