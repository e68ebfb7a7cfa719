"""Tokens that follow a grammar, through llama.cpp's own grammar sampler."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.errors import EngineError, InputError
from dlp_local.engine.local.library import clear_log, last_log, lib
from dlp_local.engine.local.sampler import Candidates, ChainSampler
from dlp_local.engine.local.vocabulary import LlamaVocabulary


class Constraint:
    """Where a text stands in a grammar. `ends`: tokens that end an answer and that llama.cpp does not know as such.

    Control tokens, which print nothing, are no text that a grammar speaks of; those `shown` are, by their names.
    Raises `InputError` for what llama.cpp does not read as GBNF.
    """

    def __init__(
        self, vocabulary: LlamaVocabulary, grammar: str, ends: Collection[int] = (), shown: Collection[int] = ()
    ) -> None:
        clear_log()
        sampler = lib.llama_sampler_init_grammar(vocabulary.handle, grammar.encode(), b"root")
        if not sampler:
            raise InputError(f"answer format: llama.cpp does not take the grammar ({last_log()}). Change it.")
        self._sampler, self._vocabulary = sampler, vocabulary
        self._ends = frozenset(token for token in ends if not vocabulary.is_end(token))
        self._end = next(iter(vocabulary.ends), None)
        self._unprinted = vocabulary.control_tokens - vocabulary.ends - frozenset(shown) - self._ends
        self._one = Candidates(1)

    @property
    def may_end(self) -> bool:
        """Whether the text may end here."""
        return self._end is None or self._takes(self._end)

    def allows(self, token: int) -> bool:
        """Whether a token may come next."""
        if token in self._unprinted:
            return False
        return self.may_end if token in self._ends else self._takes(token)

    def _takes(self, token: int) -> bool:
        one = self._one.fill(np.zeros(1, np.float32), np.array([token], np.int32))
        lib.llama_sampler_apply(self._sampler, one)
        return self._one.has_finite()

    def mask(self, candidates: Candidates) -> None:
        """Makes all tokens impossible that may not come next."""
        candidates.ban([*self._unprinted, *(() if self.may_end else self._ends)])
        kept = candidates.kept(self._ends)
        lib.llama_sampler_apply(self._sampler, candidates.reference)
        candidates.restore(kept)

    def accept(self, token: int) -> None:
        """Goes on past a token that may come next: llama.cpp ends the process at any other."""
        if token not in self._ends:
            lib.llama_sampler_accept(self._sampler, token)

    def follow(self, tokens: Sequence[int]) -> bool:
        """Goes on past the beginning of a text; False where the grammar does not begin so."""
        for token in tokens:
            if not self.allows(token):
                return False
            self.accept(token)
        return True

    def close(self) -> None:
        """Frees it."""
        lib.llama_sampler_free(self._sampler)


class ConstrainedSampler:
    """Draws the tokens of an answer that follows a grammar.

    A token is drawn as without the grammar, and once more among those that it allows where it does not allow that one:
    so each comes as often as among the allowed ones alone, and most tokens cost no look at the whole vocabulary.
    `is_free`: whether a token stands outside of what the grammar speaks of, as reasoning does.
    """

    def __init__(
        self,
        chain: ChainSampler,
        constraint: Constraint,
        logits: Callable[[int], NDArray[np.float32]],
        is_free: Callable[[int], bool],
    ) -> None:
        self._chain, self._constraint, self._logits, self._is_free = chain, constraint, logits, is_free
        self._candidates = Candidates(chain.vocab_size)

    def next_token(self, row: int) -> int:
        """See `Sampler`; raises `EngineError` where no token goes on."""
        candidates = self._candidates
        candidates.fill(self._logits(row))
        token = self._chain.draw(candidates)
        if self._is_free(token):
            self._chain.accept(token)
            return token
        if not self._constraint.allows(token):
            candidates.fill(self._logits(row))
            self._constraint.mask(candidates)
            if not candidates.has_finite():
                raise EngineError("the backbone has no token with which the grammar goes on. Use another grammar.")
            token = self._chain.draw(candidates)
        self._constraint.accept(token)
        self._chain.accept(token)
        return token

    def close(self) -> None:
        """Frees the sampler and the grammar."""
        self._chain.close()
        self._constraint.close()
