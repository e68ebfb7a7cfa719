"""The sentence encoder: texts → unit vectors, on onnxruntime, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.text import visible
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

MAX_WHOLE = 8192
"""Tokens of a text whose embedding is wanted for itself, and that is read whole; a hundred take a core about 5 ms."""

BATCH_TOKENS = 2048
"""Tokens of one batch, padding included: bounds the memory that attention takes."""

EMBEDDING, FEATURES = "embedding", "features"
"""The ONNX file's outputs."""

Vectors = npt.NDArray[np.float32]


class Encoder:
    """A sentence-transformers model exported by `tools/export_encoder.py`.

    The ONNX file takes `input_ids` and `attention_mask`, int64 (batch, sequence), and gives float32 vectors of unit
    length: `embedding`, what sentence-transformers gives, and `features`, which messages are routed by: the embedding
    and what earlier layers know besides. A file without `features` is routed by its embeddings. `dims` is the length of
    what messages are routed by, `embedding_dims` that of an embedding.
    """

    def __init__(self, model: Path, tokenizer: Path, threads: int) -> None:
        """Loads both files; raises `PackError` that names the one that is missing, damaged or of another kind."""
        self._session = open_session(model, threads)
        inputs = {value.name for value in self._session.get_inputs()}
        if not {"input_ids", "attention_mask"} <= inputs <= {"input_ids", "attention_mask", "token_type_ids"}:
            raise PackError(f"{model}: not a sentence encoder, its inputs are {sorted(inputs)}. {NEXT_STEP}")
        shapes = {value.name: value.shape for value in self._session.get_outputs()}
        vectors = {name: shapes[name] for name in (EMBEDDING, FEATURES) if name in shapes}
        if EMBEDDING not in vectors or not all(len(of) == 2 and isinstance(of[1], int) for of in vectors.values()):
            raise PackError(f"{model}: not a sentence encoder, its outputs are {shapes}. {NEXT_STEP}")
        self._lengths: dict[str, int] = {name: shape[1] for name, shape in vectors.items()}
        self._routed_by = FEATURES if FEATURES in vectors else EMBEDDING
        self.dims = self._lengths[self._routed_by]
        self.embedding_dims = self._lengths[EMBEDDING]
        self._typed = "token_type_ids" in inputs
        self._tokenizer = _open_tokenizer(tokenizer)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """What `texts` are routed by, float32 (n, dims), each of unit length, in the order of the texts.

        Of a text of more than `MAX_TOKENS` tokens `END_TOKENS` at each end count; the empty text has a vector like any
        other. Batches hold texts of similar length; a text's vector in a batch and alone have a cosine of 0.998 or
        more.
        """
        ids = [_ends(self._tokenizer.encode(_clean(text)).ids) or [0] for text in texts]
        return self._run_all(ids, self._routed_by)

    def encode_whole(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """The model's own embeddings of `texts`, of every token, float32 (n, d), and how many tokens that are.

        That of a text of more than `MAX_TOKENS` is the mean of those of its windows, each by its tokens, at unit
        length. Raises `InputError` for a text of more than `MAX_WHOLE`.
        """
        windows = [self._windows(text) for text in texts]
        flat = [window for of_text in windows for window in of_text]
        of_windows = self._run_all(flat, EMBEDDING) * np.array([len(window) for window in flat], np.float32)[:, None]
        starts = np.cumsum([0, *map(len, windows)])[:-1]
        sums = np.add.reduceat(of_windows, starts, axis=0) if flat else of_windows
        return sums / np.linalg.norm(sums, axis=1, keepdims=True), sum(map(len, flat))

    def _windows(self, text: str) -> list[list[int]]:
        """The tokens of a text in windows, each with the special tokens around it."""
        if len(text) <= END_CHARACTERS * MAX_WHOLE // MAX_TOKENS:
            ids = self._tokenizer.encode(_known(text), add_special_tokens=False).ids
            if len(ids) <= MAX_WHOLE:
                before, after = self._special
                room = MAX_TOKENS - len(before) - len(after)
                pieces = [ids[start : start + room] for start in range(0, max(len(ids), 1), room)]
                return [[*before, *piece, *after] or [0] for piece in pieces]
        begins = visible(text[:40])
        raise InputError(f"the text that begins with '{begins}…' has more than {MAX_WHOLE} tokens. Cut it into pieces.")

    @cached_property
    def _special(self) -> tuple[list[int], list[int]]:
        """The special tokens that the tokenizer puts before and after a text."""
        bare, whole = (self._tokenizer.encode("a", add_special_tokens=special).ids for special in (False, True))
        start = next(at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]

    def _run_all(self, ids: Sequence[list[int]], output: str) -> Vectors:
        """An output (n, its length) for texts' tokens, in batches of similar length."""
        vectors = np.zeros((len(ids), self._lengths[output]), np.float32)
        for rows in _batches([len(row) for row in ids]):
            vectors[rows] = self._run([ids[row] for row in rows], output)
        return vectors

    def _run(self, ids: list[list[int]], output: str) -> Vectors:
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
        return np.asarray(self._session.run([output], feed)[0], np.float32)


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
    """The part of a text that can count where its ends do."""
    if len(text) > 2 * END_CHARACTERS:
        text = f"{text[:END_CHARACTERS]} {text[-END_CHARACTERS:]}"
    return _known(text)


def _known(text: str) -> str:
    """A text with `?` for lone surrogates, which no tokenizer takes."""
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
