"""One reply, from its conversation to its last event, as a computation that takes part in the engine's steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from dlp_local.core import settings
from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.events import Generated, HistoryTrimmed
from dlp_local.core.job import Cancellation
from dlp_local.core.values import FinishReason, Message, Mix, Scope, Weights
from dlp_local.engine.context_fit import fit
from dlp_local.engine.local.answer_writer import AnswerWriter
from dlp_local.engine.local.kv_cache import Branch, KVCache
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.work import Computation, NextToken, Pause, Piece, PreemptedError, Wait
from dlp_local.engine.loops import LoopDetector
from dlp_local.engine.prompt import Prompt, PromptBuilder

NEXT_MESSAGE = Message("user", ".")
"""Stands for the message that is warmed up for: what comes before it does not depend on its text."""


@dataclass(slots=True)
class _Answer:
    """What is known of a running answer."""

    prompt: Prompt
    mix: Mix
    scope: Scope | None
    cancellation: Cancellation
    finish_reason: FinishReason = "stop"
    tokens: int = 0
    cached: int = 0
    """Tokens of the prompt that were there already."""

    computed: list[int] = field(default_factory=list)
    """Tokens of the answer that are in the cache: all but the last one."""

    weights: Weights = ()
    """What the answer's tokens are computed under."""

    branch: Branch | None = None
    first_token_at: float = 0.0


class Turns:
    """What one backbone computes for a reply, and ahead of one."""

    def __init__(self, backbone: Backbone, prompts: PromptBuilder, mixer: Mixer, cache: KVCache, reuse: bool) -> None:
        """`reuse`: what the backbone alone answered is not computed again for the next message."""
        self._backbone, self._prompts, self._mixer, self._cache = backbone, prompts, mixer, cache
        self._reuses_base_answers = reuse

    def reply(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None,
        answer_format: AnswerFormat,
        cancellation: Cancellation,
    ) -> Computation[None]:
        """See `engine.base.Engine.generate`."""
        started = time.perf_counter()
        prompt, dropped = fit(
            self._prompts, messages, self._backbone.context_size, sampling.max_tokens, answer_format.offered_tools
        )
        if dropped:
            yield HistoryTrimmed(dropped)
        answer = _Answer(prompt, mix, scope, cancellation)
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        writer = AnswerWriter(self._backbone, self._prompts, prompt, sampling, answer_format, begun)
        try:
            row = yield from self._read(answer)
            if row is None:
                answer.finish_reason = "cancelled"
            else:
                yield from self._write(answer, row, sampling.max_tokens, writer)
                if self._reuses_base_answers and not mix.weights and answer.branch:
                    self._cache.keep_branch(answer.branch, (*prompt.turns[-1], *answer.computed))
            yield from writer.rest(is_cut=answer.finish_reason != "stop")
        finally:
            writer.close()
            self._close(answer)
        now = time.perf_counter()
        prompt_tokens = sum(map(len, prompt.turns))
        yield Generated(
            finish_reason=answer.finish_reason,
            prompt_tokens=prompt_tokens,
            answer_tokens=answer.tokens,
            context_used=prompt_tokens + answer.tokens,
            first_token_ms=((answer.first_token_at or now) - started) * 1000,
            total_ms=(now - started) * 1000,
            cached_tokens=answer.cached,
        )

    def warm(self, history: Sequence[Message], max_tokens: int | None) -> Computation[None]:
        """See `engine.base.Engine.warm`: computes the history under the bare backbone."""
        prompt, _ = fit(self._prompts, [*history, NEXT_MESSAGE], self._backbone.context_size, max_tokens)
        if self._cache.is_coming(prompt.turns[:-1], ()):
            return
        with suppress(PreemptedError):
            yield from self._cache.compute(prompt.turns[:-1], ())

    def _read(self, answer: _Answer) -> Computation[int | None]:
        """Computes the prompt, and what there is of the answer: the history, and the last turn on a branch of it.

        Gives the row of the last token's logits; None where it was cancelled.
        """
        while True:
            try:
                return (yield from self._read_once(answer))
            except PreemptedError:
                self._close(answer)
                yield Pause()

    def _read_once(self, answer: _Answer) -> Computation[int | None]:
        *turns, last = answer.prompt.turns
        prompt = tuple(token for turn in answer.prompt.turns for token in turn)
        start, tokens = len(prompt) - len(last), (*prompt, *answer.computed)
        activations = self._mixer.activations(answer.mix, prompt, start, answer.scope)
        whole = tuple(sorted(self._mixer.whole_context(answer.mix, answer.scope).items()))
        while not answer.cancellation.requested and self._cache.is_coming(turns, whole):
            yield Wait()
        if answer.cancellation.requested:
            return None
        history = yield from self._cache.compute(turns, whole)
        if history is None:
            return None
        if not answer.tokens:
            answer.cached = history.reused
        answer.branch = self._cache.open_branch(history)
        cuts = sorted({start, *(on.position for on in activations if on.position > start), len(tokens)})
        row: int | None = None
        for begin, end in pairwise(cuts):
            answer.weights = tuple(sorted((on.name, on.weight) for on in activations if on.position <= begin))
            for at in range(begin, end, self._backbone.batch_size):
                piece = tokens[at : min(at + self._backbone.batch_size, end)]
                row = yield Piece(piece, at, answer.branch.sequence, answer.weights, len(tokens) - at)
                if row is None:
                    return None
                answer.branch.own += len(piece)
        return row

    def _write(self, answer: _Answer, row: int, max_tokens: int | None, writer: AnswerWriter) -> Computation[None]:
        """The answer's texts, from the row of the prompt's last logits to its end, a limit or a cancel."""
        position = sum(map(len, answer.prompt.turns))
        loops, longest = LoopDetector(), max_tokens or self._backbone.context_size
        while True:
            token = writer.next_token(row)
            answer.first_token_at = answer.first_token_at or time.perf_counter()
            if writer.is_end(token):
                return
            answer.tokens += 1
            yield from writer.feed(token)
            if writer.stopped:
                return
            if answer.cancellation.requested:
                answer.finish_reason = "cancelled"
                return
            if loops.feed(token):
                answer.finish_reason = "loop"
                return
            if answer.tokens >= longest or position >= self._backbone.context_size:
                answer.finish_reason = "length"
                return
            next_row = yield from self._compute(answer, token, position)
            if next_row is None:
                answer.finish_reason = "cancelled"
                return
            row = next_row
            position += 1

    def _compute(self, answer: _Answer, token: int, position: int) -> Computation[int | None]:
        """Computes a token of the answer; gives the row of its logits, None where it was cancelled."""
        assert answer.branch
        try:
            row = yield NextToken(token, position, answer.branch.sequence, answer.weights)
        except PreemptedError:
            self._close(answer)
            answer.computed.append(token)
            yield Pause()
            return (yield from self._read(answer))
        if row is not None:
            answer.branch.own += 1
            answer.computed.append(token)
        return row

    def _close(self, answer: _Answer) -> None:
        if answer.branch:
            self._cache.close_branch(answer.branch)
            answer.branch = None
