"""One backbone answering conversations, each answer under its own mix."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from dlp_local.core import settings
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.events import PromptProgress
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.values import AdapterFile, Message, Mix, Scope
from dlp_local.engine.base import EngineEvent, Reply
from dlp_local.engine.local.bank_check import open_bank
from dlp_local.engine.local.kv_cache import KVCache
from dlp_local.engine.local.library import offloads
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.memory import check_memory
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.model_file import check_numbers
from dlp_local.engine.local.stepper import Emit, Running, Stepper
from dlp_local.engine.local.turns import Turns
from dlp_local.engine.prompt import PromptBuilder

Event = TypeVar("Event")


class LocalEngine:
    """Generates answers, several at a time; not thread-safe but for the `cancel` of its jobs.

    An answer depends on the backbone, the text of the history, the mix, the sampling options and the seed alone: to
    rounding where several may run at a time, or where answers of the bare backbone before it are still in the cache,
    else bit for bit.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        check_numbers(backbone)  # what is computed of them would mislead
        if options.check_memory and not offloads(options):
            check_memory(backbone, [adapter.path for adapter in adapters], options)
        self._backbone = Backbone(backbone, options)
        try:
            vocabulary = self._backbone.vocabulary
            self._prompts = PromptBuilder(vocabulary, vocabulary.template(options.chat_template))
        except BaseException:
            self._backbone.close()
            raise
        self._mixer = Mixer(self._backbone, adapters, options)
        self._cache = KVCache(self._backbone)
        self._turns = Turns(self._backbone, self._prompts, self._mixer, self._cache, options.reuse_base_answers)
        self._bank = open_bank(self._backbone, self._mixer)
        self._stepper = Stepper(self._backbone, self._mixer, self._cache, self._bank, options.parallel)

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self._backbone.context_size

    # ---- one step at a time ----

    @property
    def busy(self) -> bool:
        """Whether there is something to compute."""
        return self._stepper.busy

    def step(self) -> None:
        """Computes a little of what was started."""
        self._stepper.step()

    def start_reply(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None,
        answer_format: AnswerFormat,
        cancellation: Cancellation,
        emit: Emit,
    ) -> Running:
        """A reply that takes part in the steps from now on; `emit` takes its events as they come."""
        self._backbone.check_open()
        computation = self._turns.reply(messages, mix, sampling, scope, answer_format, cancellation)

        def emit_reply(event: EngineEvent | PromptProgress) -> None:
            if not isinstance(event, PromptProgress):
                emit(event)

        return self._start(Running(computation, cancellation, emit_reply, mix.weights))

    def start_warming(
        self, history: Sequence[Message], max_tokens: int | None, cancellation: Cancellation, emit: Emit
    ) -> Running:
        """Preparation for a next message, that takes part in the steps from now on."""
        self._backbone.check_open()
        return self._start(Running(self._turns.warm(history, max_tokens), cancellation, emit))

    def _start(self, running: Running) -> Running:
        self._stepper.add(running)
        return running

    # ---- as a job ----

    def generate(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None = None,
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Reply:
        """See `engine.base.Engine`; to read one reply's events takes all that run further."""
        start = partial(self.start_reply, messages, mix, sampling, scope, answer_format)
        return cast(Reply, Job(partial(self._events, start)))

    def warm(self, history: Sequence[Message], max_tokens: int | None) -> Job[PromptProgress]:
        """See `engine.base.Engine`: computes the history under the bare backbone."""
        start = partial(self.start_warming, history, max_tokens)
        return cast(Job[PromptProgress], Job(partial(self._events, start)))

    def _events(
        self, start: Callable[[Cancellation, Emit], Running], cancellation: Cancellation
    ) -> Generator[EngineEvent | PromptProgress, None, None]:
        events: deque[EngineEvent | PromptProgress] = deque()
        running = start(cancellation, events.append)
        try:
            while events or not running.ended:
                if events:
                    yield events.popleft()
                else:
                    self._backbone.check_open()
                    self.step()
            if running.error:
                raise running.error
        finally:
            running.close()

    # ---- adapters ----

    def add_adapter(self, adapter: AdapterFile) -> None:
        """Loads an adapter, in place of another one of that name once no reply uses that; raises `PackError`."""
        self._backbone.check_open()
        self._stepper.finish_users(adapter.name)
        self._mixer.add(adapter)
        self._forget(adapter.name)

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter once no reply uses it, and frees its memory; raises `InputError` for an unknown one."""
        self._backbone.check_open()
        self._stepper.finish_users(name)
        self._mixer.remove(name)
        self._forget(name)

    def start_anew(self) -> None:
        """Drops all that was kept of what was computed, once nothing runs: what follows depends on none of it."""
        self._backbone.check_open()
        self._stepper.finish()
        self._cache.clear()
        self._backbone.clear()
        if self._bank:
            self._bank.drop()

    def _forget(self, adapter: str) -> None:
        self._cache.forget_adapter(adapter)
        if self._bank:
            self._bank.forget(adapter)

    def close(self) -> None:
        """Frees everything."""
        if self._bank and not self._backbone.closed:
            self._bank.drop()
        self._backbone.close()
