"""One backbone answering conversations, each answer under its own mix."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dlp_local.core import settings
from dlp_local.core.errors import InputError
from dlp_local.core.events import Generated, HistoryTrimmed, TextDelta
from dlp_local.core.values import AdapterFile, FinishReason, Message, Mix, Scope
from dlp_local.engine.local.kv_cache import BRANCH, KVCache
from dlp_local.engine.local.library import offloads
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.memory import check_memory
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.text import StopStrings, whole_characters

ANSWER_SHARE = 4
"""A prompt leaves at least a quarter of the context to the answer, less where the answer may not be that long."""


@dataclass(slots=True)
class _Progress:
    """What is known of a running answer."""

    finish_reason: FinishReason = "stop"
    answer_tokens: int = 0
    first_token_at: float = 0.0


class Engine:
    """Generates answers; not thread-safe but for `cancel`.

    An answer depends on the backbone, the text of the history, the mix, the sampling options and the seed alone.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        if options.check_memory and not offloads(options):
            check_memory(backbone, [adapter.path for adapter in adapters], options)
        self._backbone = Backbone(backbone, options)
        try:
            self._prompts = PromptBuilder(self._backbone)
        except BaseException:
            self._backbone.close()
            raise
        self._mixer = Mixer(self._backbone, adapters, options)
        self._cache = KVCache(self._backbone, self._mixer.set)
        self._cancelled = False
        self._running: _Progress | None = None

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self._backbone.context_size

    def generate(
        self, messages: Sequence[Message], mix: Mix, sampling: settings.Sampling, scope: Scope | None = None
    ) -> Iterator[HistoryTrimmed | TextDelta | Generated]:
        """Answers a conversation that ends with a user's message; the last event is `Generated`.

        Where it ends with the assistant's, that is the beginning of an answer, and what comes goes on with it. `scope`
        takes the place of the adapters' own.

        An answer that is still open when the next one starts ends there, as if it had been cancelled.

        Raises `InputError` for an unknown adapter and for a message that does not fit the context.
        """
        self._backbone.check_open()
        started = time.perf_counter()
        progress = self._running = _Progress()
        self._cache.close_branch()
        turns, dropped = self._fit(messages, sampling.max_tokens)
        if dropped:
            yield HistoryTrimmed(dropped)
        prompt_tokens = sum(map(len, turns))
        stops = StopStrings(sampling.stop)
        try:
            if not self._compute(turns, mix, sampling.max_tokens, scope):
                progress.finish_reason = "cancelled"
            else:
                pieces = map(self._backbone.piece, self._sample(prompt_tokens, sampling, progress))
                for text in whole_characters(pieces):
                    if safe := stops.feed(text):
                        yield TextDelta(safe)
                    if stops.hit:
                        progress.finish_reason = "stop"
                        break
            if rest := stops.rest():
                yield TextDelta(rest)
        finally:
            if self._running is progress:
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

    def _compute(self, turns: Sequence[tuple[int, ...]], mix: Mix, max_tokens: int, scope: Scope | None) -> bool:
        """Computes the history and then, on a new branch, the last turn; False where cancelled."""
        prompt = tuple(token for turn in turns for token in turn)
        start = len(prompt) - len(turns[-1])
        under = self._mixer.whole_context(mix, scope)
        places = self._mixer.switch_on(mix, prompt, start, scope)
        if not self._cache.commit(turns[:-1], under, len(turns[-1]) + max_tokens):
            return False
        self._cache.open_branch(under)
        cuts = sorted({start, *(place for place, _, _ in places if place > start), len(prompt)})
        for begin, end in pairwise(cuts):
            self._mixer.set({name: weight for place, name, weight in places if place <= begin})
            if not self._backbone.decode(prompt[begin:end], begin, BRANCH):
                return False
        return True

    def _sample(self, position: int, sampling: settings.Sampling, progress: _Progress) -> Iterator[int]:
        """Tokens of the answer until its end, a limit or `cancel`."""
        sampler = self._backbone.sampler(sampling, sampling.seed or 0)
        try:
            while True:
                token = sampler.next_token()
                progress.first_token_at = progress.first_token_at or time.perf_counter()
                if self._backbone.is_end(token):
                    return
                progress.answer_tokens += 1
                yield token
                if self._cancelled or self._running is not progress:
                    progress.finish_reason = "cancelled"
                    return
                if progress.answer_tokens >= sampling.max_tokens or position >= self.context_size:
                    progress.finish_reason = "length"
                    return
                self._backbone.decode((token,), position, BRANCH)
                position += 1
        finally:
            sampler.close()

    def _fit(self, messages: Sequence[Message], max_tokens: int) -> tuple[list[tuple[int, ...]], int]:
        """The tokens of each turn that fits beside the answer, and how many of the oldest turns were left out.

        Followed from its start, a conversation that outgrows the room loses its oldest turns down to half of it: so
        the turns after that find their history on the spine. What goes depends on the messages alone.
        """
        begun: tuple[int, ...] = ()
        if messages[-1].role == "assistant":
            begun = tuple(self._backbone.tokenize(messages[-1].content, special=False))
            messages = messages[:-1]
        room = self.context_size - min(max_tokens, self.context_size // ANSWER_SHARE) - len(begun)
        split = 1 if messages[0].role == "system" else 0
        body = messages[split:]
        starts = [i for i, message in enumerate(body) if message.role == "user"]
        ends = [*starts[1:], len(body)]
        lengths = [sum(map(self._prompts.length, body[a:b])) for a, b in zip(starts, ends, strict=True)]
        dropped, used = 0, sum(map(self._prompts.length, messages[:split]))
        for last, length in enumerate(lengths):
            used += length
            if used > room:
                while dropped < last and used > room // 2:
                    used -= lengths[dropped]
                    dropped += 1
        for first in range(dropped, len(starts)):
            kept = [*messages[:split], *body[starts[first] :]] if first else messages
            turns = self._prompts.turns(kept)
            size = sum(map(len, turns))
            if size <= room:
                return [*turns[:-1], turns[-1] + begun], first
        raise InputError(
            f"the message is too long: {size} tokens, and {room} fit the context of {self.context_size}. "
            "Shorten it, or use a backbone with a larger context."
        )

    def warm(self, history: Sequence[Message], max_tokens: int) -> None:
        """Computes a finished conversation onto the spine, so that the next message does not wait for it.

        Ends early on `cancel`.
        """
        self._backbone.check_open()
        self._running = None
        self._cache.close_branch()
        turns, _ = self._fit([*history, Message("user", "")], max_tokens)
        self._cache.commit(turns[:-1], {}, 0)

    def add_adapter(self, adapter: AdapterFile) -> None:
        """Loads an adapter into the running engine, in place of another one of that name; raises `PackError`."""
        self._backbone.check_open()
        self._mixer.add(adapter)
        self._cache.forget_under(adapter.name)

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter and frees its memory; raises `InputError` for an unknown one."""
        self._backbone.check_open()
        self._mixer.remove(name)
        self._cache.forget_under(name)

    def cancel(self) -> None:
        """Ends the running answer within a token and a running `warm` at once; from any thread, until `resume`."""
        self._cancelled = True
        self._backbone.interrupt()

    def resume(self) -> None:
        """Takes a `cancel` back before the next answer."""
        self._cancelled = False
        self._backbone.resume()

    def close(self) -> None:
        """Frees everything."""
        self._backbone.close()
