"""Several replies at once: each step computes a piece of one prompt, or the next token of every answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from dlp_local.core.events import PromptProgress
from dlp_local.core.job import Cancellation
from dlp_local.core.values import Weights
from dlp_local.engine.base import EngineEvent
from dlp_local.engine.local.bank import Bank
from dlp_local.engine.local.kv_cache import KVCache
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.sampler import LAST_ROW
from dlp_local.engine.local.work import Computation, NextToken, Piece, PreemptedError, Wait, Work

Emit = Callable[[EngineEvent | PromptProgress], object]


PIECES = 128
"""Tokens of prompts that are read at least between two steps of the answers that are being written."""

SHORTEST_FIRST = 3
"""Pieces in a row of the prompt with the least left; the next is of the one that began first, which ends, too, so."""


class Running:
    """A computation that waits for its turn, runs or has ended; `emit` takes its events as they come.

    `mix`: of a reply; nothing else has one.
    """

    def __init__(
        self, computation: Computation[None], cancellation: Cancellation, emit: Emit, mix: Weights | None = None
    ) -> None:
        self._computation, self.cancellation, self._emit, self.mix = computation, cancellation, emit, mix
        self.work: Work | None = None
        self.ended = False
        self.error: BaseException | None = None

    def advance(self, row: int | None) -> None:
        """Goes on to the next work or to the end; `row`: that of its last work's logits, None to begin or to cancel."""
        self._go_on(lambda: self._computation.send(row))

    def interrupt(self, error: BaseException) -> None:
        """Goes on with an error in place of the result of its work."""
        self._go_on(lambda: self._computation.throw(error))

    def _go_on(self, resume: Callable[[], Work | EngineEvent | PromptProgress]) -> None:
        self.work = None
        try:
            step = resume()
            while not isinstance(step, Work):
                self._emit(step)
                step = next(self._computation)
            self.work = step
        except StopIteration:
            self.ended = True
        except BaseException as error:
            self.ended, self.error = True, error
            if not isinstance(error, Exception):
                raise

    def close(self) -> None:
        """Gives it up; what it holds is free."""
        self.ended, self.work = True, None
        self._computation.close()


class Stepper:
    """Runs up to `parallel` computations at a time, in the order in which they come.

    The next tokens of all answers are computed in one batch where a `bank` is there for their mixes, else in one for
    each mix. llama.cpp rounds otherwise in batches of other sizes, and where other sequences lie between the cells of
    one: beside others an answer is what it is alone to rounding.
    """

    def __init__(
        self,
        backbone: Backbone,
        mixer: Mixer,
        cache: KVCache,
        bank: Bank | None,
        parallel: int,
    ) -> None:
        self._backbone, self._mixer, self._cache, self._bank = backbone, mixer, cache, bank
        self._parallel = parallel
        self._waiting: deque[Running] = deque()
        self._running: list[Running] = []
        self._is_full = False
        """Whether something had to pause, and nothing has ended since."""

        self._pieces = 0
        """Pieces that were read."""

        self._read = 0
        """Tokens of prompts that were read since the last step of answers."""

    @property
    def busy(self) -> bool:
        """Whether something waits or runs."""
        return bool(self._waiting or self._running)

    def add(self, running: Running) -> None:
        """Takes part from the next step on, or as soon as there is room."""
        self._waiting.append(running)

    def finish(self) -> None:
        """Steps until nothing waits or runs; then the next steps depend on none before."""
        while self.busy:
            self.step()
        self._pieces = self._read = 0

    def finish_users(self, adapter: str) -> None:
        """Steps until nothing waits or runs that uses an adapter."""
        while any(adapter in dict(running.mix or ()) for running in (*self._waiting, *self._running)):
            self.step()

    def step(self) -> None:
        """Begins what there is room for, and computes a piece of a prompt or the next token of every answer."""
        self._drop_ended()
        self._is_ready_for(self._running)
        self._begin()
        for running in self._running:
            if isinstance(running.work, Wait) or (running.work and running.cancellation.requested):
                running.advance(None)
        prompts = [(running, running.work) for running in self._running if isinstance(running.work, Piece)]
        answers = [running for running in self._running if isinstance(running.work, NextToken)]
        if prompts and not (answers and self._read >= PIECES):
            self._compute_piece(*self._next_prompt(prompts))
        else:
            self._read = 0
            for group in list(self._groups(answers)):
                self._compute_tokens(group)
        self._drop_ended()

    def _begin(self) -> None:
        """Lets what waits begin in its order, as far as there is room."""
        is_held_up = False
        for running in list(self._waiting):
            if not (running.ended or running.cancellation.requested):
                is_held_up = is_held_up or not self._may_begin(running)
                if is_held_up:
                    continue
            self._waiting.remove(running)
            if not running.ended:
                self._running.append(running)
                running.advance(None)

    def _may_begin(self, waiting: Running) -> bool:
        """Whether there is room for another one.

        It waits while a bank with its adapters is built; the others go on with what they have.
        """
        if len(self._running) >= self._parallel or self._is_full:
            return False
        return self._is_ready_for([*self._running, waiting])

    def _drop_ended(self) -> None:
        running = [running for running in self._running if not running.ended]
        if len(running) < len(self._running):
            self._running, self._is_full = running, False

    def _is_ready_for(self, several: Iterable[Running]) -> bool:
        """Whether the bank holds the mixes of some replies, or need not or cannot; else builds a little of one."""
        mixes = self._mixes(several)
        return not self._bank or len(mixes) < 2 or self._bank.build_on(mixes)

    def _uses_bank(self) -> bool:
        """Whether replies under different mixes run that can share their batches."""
        mixes = self._mixes(self._running)
        return len(mixes) > 1 and self._bank is not None and self._bank.holds(mixes)

    @staticmethod
    def _mixes(several: Iterable[Running]) -> set[Weights]:
        return {running.mix for running in several if running.mix is not None}

    def _groups(self, answers: Sequence[Running]) -> Iterator[list[Running]]:
        """Answers whose next tokens are computed in one batch: all, or those under one mix."""
        if self._uses_bank():
            yield list(answers)
            return
        by_mix: dict[Weights, list[Running]] = {}
        for running in answers:
            if isinstance(running.work, NextToken):
                by_mix.setdefault(running.work.weights, []).append(running)
        yield from by_mix.values()

    def _next_prompt(self, prompts: Sequence[tuple[Running, Piece]]) -> tuple[Running, Piece]:
        """Whose piece comes next: a long prompt does not hold up the short ones that come after it."""
        self._pieces += 1
        if self._pieces % (SHORTEST_FIRST + 1) == 0:
            return prompts[0]
        return min(prompts, key=lambda prompt: prompt[1].left)

    def _compute_piece(self, running: Running, piece: Piece) -> None:
        if not self._cache.reserve(len(piece.tokens)):
            self._pause_youngest()
            return
        self._read += len(piece.tokens)
        self._resume([running], lambda: self._decode_piece(piece, running.cancellation))

    def _decode_piece(self, piece: Piece, cancellation: Cancellation) -> Sequence[int | None]:
        self._set([piece.weights] * len(piece.tokens), outputs=1)
        return [LAST_ROW if self._backbone.decode(piece.tokens, piece.position, piece.sequence, cancellation) else None]

    def _compute_tokens(self, group: list[Running]) -> None:
        group = self._not_paused(group)
        while group and not self._cache.reserve(len(group)):
            self._pause_youngest()
            group = self._not_paused(group)
        works = [running.work for running in group if isinstance(running.work, NextToken)]
        if works:
            self._resume(group, lambda: self._decode_tokens(works))

    def _not_paused(self, group: Sequence[Running]) -> list[Running]:
        """Those that run still: one of another mix may have needed their cells."""
        return [running for running in group if running in self._running]

    def _decode_tokens(self, works: Sequence[NextToken]) -> Sequence[int | None]:
        self._set([work.weights for work in works], outputs=len(works))
        self._backbone.decode_rows([(work.token, work.position, work.sequence) for work in works], len(works))
        return range(len(works))

    def _set(self, mixes: Sequence[Weights], outputs: int) -> None:
        """Makes the next batch one of tokens under these mixes, one each."""
        if self._bank and self._uses_bank():
            self._bank.set(mixes, outputs)
        else:
            self._mixer.set(dict(mixes[0]))

    def _resume(self, group: Sequence[Running], compute: Callable[[], Sequence[int | None]]) -> None:
        """Computes, and lets each go on with its row, or with the error that came of it."""
        try:
            rows = compute()
        except BaseException as error:
            for running in group:
                running.interrupt(error)
            if not isinstance(error, Exception):
                raise
            return
        for running, row in zip(group, rows, strict=True):
            running.advance(row)

    def _pause_youngest(self) -> None:
        """Takes the cells of what began last, which goes on once something else has ended."""
        youngest = self._running.pop()
        youngest.interrupt(PreemptedError())
        if not youngest.ended:
            self._waiting.appendleft(youngest)
            self._is_full = True
