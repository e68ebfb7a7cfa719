"""One backbone answering conversations, each answer under its own mix."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

from dlp_local import settings
from dlp_local.engine.cache import BRANCH, KVCache
from dlp_local.engine.llama import Backbone
from dlp_local.engine.mixer import Mixer
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.text import StopStrings, whole_characters
from dlp_local.errors import InputError
from dlp_local.records import AdapterFile, FinishReason, Generated, HistoryTrimmed, Message, Mix, TextDelta

ANSWER_SHARE = 4
"""A prompt leaves at least a quarter of the context to the answer, less where the answer may not be that long."""


@dataclass(slots=True)
class _Progress:
    """What is known of a running answer."""

    finish_reason: FinishReason = "stop"
    answer_tokens: int = 0
    position: int = 0
    first_token_at: float = 0.0


class Engine:
    """Generates answers; not thread-safe but for `cancel`.

    An answer depends on the backbone, the text of the history, the mix, the sampling options and the seed alone.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        self._backbone = Backbone(backbone, options)
        self._mixer = Mixer(self._backbone, {adapter.name: adapter for adapter in adapters})
        self._cache = KVCache(self._backbone)
        self._prompts = PromptBuilder(self._backbone)
        self._cancelled = False

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self._backbone.context_size

    def generate(
        self, messages: Sequence[Message], mix: Mix, sampling: settings.Sampling
    ) -> Iterator[HistoryTrimmed | TextDelta | Generated]:
        """Answers a conversation that ends with a user's message; the last event is `Generated`.

        Raises `InputError` for an unknown adapter and for a message that does not fit the context.
        """
        started = time.perf_counter()
        fitted, dropped = self._fit(messages, sampling.max_tokens)
        if dropped:
            yield HistoryTrimmed(dropped)
        progress = _Progress()
        prompt = self._prompts.tokens(fitted, answer=True)
        stops = StopStrings(sampling.stop)
        try:
            if not self._compute(fitted, prompt, mix):
                progress.finish_reason = "cancelled"
            else:
                pieces = map(self._backbone.piece, self._sample(len(prompt), sampling, progress))
                for text in whole_characters(pieces):
                    if safe := stops.feed(text):
                        yield TextDelta(safe)
                    if stops.hit:
                        progress.finish_reason = "stop"
                        break
            if rest := stops.rest():
                yield TextDelta(rest)
        finally:
            self._cache.close_branch()
        now = time.perf_counter()
        yield Generated(
            finish_reason=progress.finish_reason,
            prompt_tokens=len(prompt),
            answer_tokens=progress.answer_tokens,
            context_used=len(prompt) + progress.answer_tokens,
            first_token_ms=((progress.first_token_at or now) - started) * 1000,
            total_ms=(now - started) * 1000,
        )

    def _compute(self, messages: Sequence[Message], prompt: tuple[int, ...], mix: Mix) -> bool:
        """Brings the spine up to the history and computes the last turn on a new branch; False where cancelled."""
        turns = self._prompts.turns(messages[:-1])
        history = tuple(token for turn in turns for token in turn)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(history, prompt, strict=False)))
        while sum(map(len, turns)) > shared:
            turns.pop()
        places = self._mixer.switch_on(mix, prompt, shared)
        if not self._cache.commit(turns):
            return False
        self._cache.open_branch()
        start = self._cache.length
        cuts = sorted({start, *(place for place, _, _ in places if place > start), len(prompt)})
        for start, end in pairwise(cuts):
            self._mixer.set({name: weight for place, name, weight in places if place <= start})
            if not self._backbone.decode(prompt[start:end], start, BRANCH):
                return False
        return True

    def _sample(self, position: int, sampling: settings.Sampling, progress: _Progress) -> Iterator[int]:
        """Tokens of the answer until its end, a limit or `cancel`."""
        sampler = self._backbone.sampler(sampling, sampling.seed or 0)
        try:
            while not self._cancelled:
                token = sampler.next_token()
                progress.first_token_at = progress.first_token_at or time.perf_counter()
                if self._backbone.is_end(token):
                    return
                progress.answer_tokens += 1
                yield token
                if progress.answer_tokens >= sampling.max_tokens or position >= self.context_size:
                    progress.finish_reason = "length"
                    return
                self._backbone.decode((token,), position, BRANCH)
                position += 1
            progress.finish_reason = "cancelled"
        finally:
            sampler.close()

    def _fit(self, messages: Sequence[Message], max_tokens: int) -> tuple[list[Message], int]:
        """Leaves out the oldest turns until prompt and answer fit; returns the rest and how many turns went."""
        room = self.context_size - min(max_tokens, self.context_size // ANSWER_SHARE)
        split = 1 if messages[0].role == "system" else 0
        system, body = messages[:split], messages[split:]
        starts = [i for i, message in enumerate(body) if message.role == "user"]

        def without(turns: int) -> list[Message]:
            return [*system, *body[starts[turns] :]] if turns else list(messages)

        def size(turns: int) -> int:
            return len(self._prompts.tokens(without(turns), answer=True))

        dropped = bisect_left(range(len(starts)), True, key=lambda turns: size(turns) <= room)
        if dropped == len(starts):
            raise InputError(
                f"the message is too long: {size(dropped - 1)} tokens, and {room} fit the context of "
                f"{self.context_size}. Shorten it, or use a backbone with a larger context."
            )
        return without(dropped), dropped

    def settle(self, history: Sequence[Message]) -> None:
        """Computes a finished conversation onto the spine, so that the next message does not wait for it.

        Ends early on `cancel`. A history that no longer fits is left to the next answer.
        """
        turns = self._prompts.turns(history)
        if sum(map(len, turns)) < self.context_size:
            self._cache.commit(turns)

    def cancel(self) -> None:
        """Ends the running answer within a token and a running `settle` at once; from any thread, until `resume`."""
        self._cancelled = True
        self._backbone.interrupt()

    def resume(self) -> None:
        """Takes a `cancel` back before the next answer."""
        self._cancelled = False
        self._backbone.resume()

    def close(self) -> None:
        """Frees everything."""
        self._backbone.close()
