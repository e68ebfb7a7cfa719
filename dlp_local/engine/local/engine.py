"""One backbone answering conversations, each answer under its own mix."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from dlp_local.core import settings
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.events import Generated, HistoryTrimmed, PromptProgress
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.values import AdapterFile, FinishReason, Message, Mix, Scope
from dlp_local.engine.base import EngineEvent, Reply
from dlp_local.engine.context_fit import fit
from dlp_local.engine.local.answer_writer import AnswerWriter
from dlp_local.engine.local.kv_cache import BRANCH, KVCache, finish
from dlp_local.engine.local.library import offloads
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.memory import check_memory
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.sampler import LAST_ROW
from dlp_local.engine.loops import LoopDetector
from dlp_local.engine.prompt import PromptBuilder

NEXT_MESSAGE = Message("user", ".")
"""Stands for the message that is warmed up for: what comes before it does not depend on its text."""


@dataclass(slots=True)
class _Progress:
    """What is known of a running answer."""

    finish_reason: FinishReason = "stop"
    answer_tokens: int = 0
    computed: list[int] = field(default_factory=list)
    """Tokens of the answer that are in the cache: all but the last one."""

    first_token_at: float = 0.0


class LocalEngine:
    """Generates answers; not thread-safe but for the `cancel` of its jobs, of which one runs at a time.

    An answer depends on the backbone, the text of the history, the mix, the sampling options and the seed alone: to
    rounding where answers of the bare backbone before it are still in the cache, else bit for bit.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        if options.check_memory and not offloads(options):
            check_memory(backbone, [adapter.path for adapter in adapters], options)
        self._backbone = Backbone(backbone, options)
        try:
            self._vocabulary = self._backbone.vocabulary
            self._prompts = PromptBuilder(self._vocabulary, self._vocabulary.template(options.chat_template))
        except BaseException:
            self._backbone.close()
            raise
        self._mixer = Mixer(self._backbone, adapters, options)
        self._cache = KVCache(self._backbone, self._mixer.set)
        self._reuses_base_answers = options.reuse_base_answers
        self._running: Cancellation | None = None

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self._backbone.context_size

    def generate(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None = None,
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Reply:
        """See `engine.base.Engine`; a job that is still open when this one starts is cancelled."""
        return Job(partial(self._reply, messages, mix, sampling, scope, answer_format))

    def _reply(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None,
        answer_format: AnswerFormat,
        cancellation: Cancellation,
    ) -> Generator[EngineEvent, None, None]:
        started = time.perf_counter()
        self._begin(cancellation)
        prompt, dropped = fit(self._prompts, messages, self.context_size, sampling.max_tokens)
        turns = prompt.turns
        if dropped:
            yield HistoryTrimmed(dropped)
        prompt_tokens = sum(map(len, turns))
        progress = _Progress()
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        writer = AnswerWriter(self._backbone, self._prompts, prompt, sampling, answer_format, begun)
        try:
            if not self._compute(turns, mix, scope, cancellation):
                progress.finish_reason = "cancelled"
            else:
                for token in self._sample(prompt_tokens, sampling, progress, writer, cancellation):
                    yield from writer.feed(token)
                    if writer.stopped:
                        progress.finish_reason = "stop"
                        break
                if self._reuses_base_answers and not mix.weights and self._running is cancellation:
                    self._cache.keep_branch((*turns[-1], *progress.computed))
            yield from writer.rest()
        finally:
            writer.close()
            if self._running is cancellation:
                self._cache.close_branch()
        now = time.perf_counter()
        yield Generated(
            finish_reason=progress.finish_reason,
            prompt_tokens=prompt_tokens,
            answer_tokens=progress.answer_tokens,
            context_used=prompt_tokens + progress.answer_tokens,
            first_token_ms=((progress.first_token_at or now) - started) * 1000,
            total_ms=(now - started) * 1000,
        )

    def _begin(self, cancellation: Cancellation) -> None:
        """Makes a job the one that runs; ends the one before it, where that is still open."""
        self._backbone.check_open()
        if self._running:
            self._running.request()
        self._running = cancellation
        self._cache.close_branch()

    def _compute(
        self,
        turns: Sequence[tuple[int, ...]],
        mix: Mix,
        scope: Scope | None,
        cancellation: Cancellation,
    ) -> bool:
        """Computes the history and then, on a new branch, the last turn; False where cancelled."""
        prompt = tuple(token for turn in turns for token in turn)
        start = len(prompt) - len(turns[-1])
        history_weights = self._mixer.whole_context(mix, scope)
        activations = self._mixer.activations(mix, prompt, start, scope)
        if not finish(self._cache.compute(turns[:-1], history_weights, len(turns[-1]), cancellation)):
            return False
        self._cache.open_branch(history_weights)
        cuts = sorted({start, *(on.position for on in activations if on.position > start), len(prompt)})
        for begin, end in pairwise(cuts):
            self._mixer.set({on.name: on.weight for on in activations if on.position <= begin})
            if not self._backbone.decode(prompt[begin:end], begin, BRANCH, cancellation):
                return False
        return True

    def _sample(
        self,
        position: int,
        sampling: settings.Sampling,
        progress: _Progress,
        writer: AnswerWriter,
        cancellation: Cancellation,
    ) -> Iterator[int]:
        """Tokens of the answer, of which the first stands at `position`, until its end, a limit or a cancel."""
        loops = LoopDetector()
        longest = sampling.max_tokens or self.context_size
        while True:
            token = writer.next_token(LAST_ROW)
            progress.first_token_at = progress.first_token_at or time.perf_counter()
            if writer.is_end(token):
                return
            progress.answer_tokens += 1
            yield token
            if cancellation.requested:
                progress.finish_reason = "cancelled"
                return
            if loops.feed(token):
                progress.finish_reason = "loop"
                return
            if progress.answer_tokens >= longest or position >= self.context_size:
                progress.finish_reason = "length"
                return
            self._cache.reserve(position + 1)
            self._backbone.decode((token,), position, BRANCH)
            progress.computed.append(token)
            position += 1

    def warm(self, history: Sequence[Message], max_tokens: int | None) -> Job[PromptProgress]:
        """See `engine.base.Engine`: computes the history onto the spine."""
        return Job(partial(self._warm, history, max_tokens))

    def _warm(
        self, history: Sequence[Message], max_tokens: int | None, cancellation: Cancellation
    ) -> Generator[PromptProgress, None, None]:
        self._begin(cancellation)
        prompt, _ = fit(self._prompts, [*history, NEXT_MESSAGE], self.context_size, max_tokens)
        yield from self._cache.compute(prompt.turns[:-1], {}, 0, cancellation)

    def add_adapter(self, adapter: AdapterFile) -> None:
        """Loads an adapter into the running engine, in place of another one of that name; raises `PackError`."""
        self._backbone.check_open()
        self._mixer.add(adapter)
        self._cache.forget_adapter(adapter.name)

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter and frees its memory; raises `InputError` for an unknown one."""
        self._backbone.check_open()
        self._mixer.remove(name)
        self._cache.forget_adapter(name)

    def close(self) -> None:
        """Frees everything."""
        self._backbone.close()
