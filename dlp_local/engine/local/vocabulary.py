"""The tokenizer and the chat template in a backbone's header, by llama.cpp."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from dlp_local.core.errors import EngineError, PackError
from dlp_local.engine.local.library import lib
from dlp_local.engine.prompt import TokenKind
from dlp_local.engine.template import OTHER_TEMPLATE, PLAIN_TEMPLATE, ChatTemplate

_KINDS: tuple[tuple[int, TokenKind], ...] = (
    (lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN, "control"),
    (lib.LLAMA_TOKEN_ATTR_USER_DEFINED, "user defined"),
)


class LlamaVocabulary:
    """One `engine.prompt.Vocabulary`; `model` must stay loaded for as long as it is used. `path` is for messages."""

    def __init__(self, model: lib.llama_model_p, path: Path) -> None:
        self._model, self._path = model, path
        self._vocab = lib.llama_model_get_vocab(model)
        self.handle = self._vocab
        """What the library's functions are given."""

        self.size: int = lib.llama_vocab_n_tokens(self._vocab)
        self.kind = lru_cache(maxsize=65_536)(self._kind)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens of which the model's header says that they end an answer."""
        return frozenset(filter(self.is_end, range(self.size)))

    @cached_property
    def control_tokens(self) -> frozenset[int]:
        """The tokens that print nothing."""
        return frozenset(token for token in range(self.size) if self._kind(token) == "control")

    @cached_property
    def opening_tokens(self) -> Sequence[int]:
        """What the model's header wants before every prompt: its begin token, or nothing."""
        return (lib.llama_vocab_bos(self._vocab),) if lib.llama_vocab_get_add_bos(self._vocab) else ()

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of a text; only with `special` are the names of control tokens read as such."""
        raw = text.encode("utf-8", "surrogatepass")
        size = len(raw) + 8
        while True:
            buffer = (lib.llama_token * size)()
            count = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, size, False, special)
            if count >= 0:
                return list(buffer[:count])
            if -count <= size:  # it asks for more room each time, unless there are too many to count
                raise EngineError(f"{self._path}: the text could not be tokenized. Shorten the message.")
            size = -count

    def piece(self, token: int) -> bytes:
        """The bytes that a token prints; none for control tokens."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_end(self, token: int) -> bool:
        """Whether the model's header says that a token ends the answer."""
        return bool(lib.llama_vocab_is_eog(self._vocab, token))

    def name(self, token: int) -> str:
        """The text by which a prompt names a token."""
        return (lib.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace") if token >= 0 else ""

    def _kind(self, token: int) -> TokenKind:
        attributes = lib.llama_vocab_get_attr(self._vocab, token)
        return next((kind for mask, kind in _KINDS if attributes & mask), "normal")

    def template(self, source: str) -> ChatTemplate:
        """The chat template of this source, else the header's, else the plain one.

        Raises `PackError` for a template that is no Jinja.
        """
        raw = source.encode("utf-8", "replace") or lib.llama_model_chat_template(self._model, None)
        bos, eos = (self.name(get(self._vocab)) for get in (lib.llama_vocab_bos, lib.llama_vocab_eos))
        try:
            return ChatTemplate(raw.decode("utf-8") if raw else PLAIN_TEMPLATE, bos, eos)
        except UnicodeDecodeError as error:
            raise PackError(f"{self._path}: its chat template cannot be read ({error}). {OTHER_TEMPLATE}") from None
        except PackError as error:
            raise PackError(f"{self._path}: {error}") from None
