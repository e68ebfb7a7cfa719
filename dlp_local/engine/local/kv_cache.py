"""Spine and branch: the KV cache that no answer of another mix ever touches.

The spine holds the conversation so far, computed by the bare backbone. An answer is a branch: it shares the spine's
cells, and its own message and tokens are computed there under its mix. Adapters that want the whole context under
their own weights (`scope = "context"`) get a history of their own, computed under them; the last few are kept. Each
turn of a history is computed as a batch of its own, so the numbers in the cache are the same whether a conversation
was kept, cut or built up from nothing. A branch under no adapter can become the spine's next part as it is: its answer
was computed token by token, so these numbers are the same to rounding only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from dlp_local.core.events import PromptProgress
from dlp_local.core.job import Cancellation
from dlp_local.core.values import Weights
from dlp_local.engine.local.llama import KEPT_HISTORIES, Backbone

BRANCH = 0


@dataclass(slots=True)
class _History:
    """The turns that a sequence holds."""

    sequence: int
    turns: list[tuple[int, ...]] = field(default_factory=list)
    partial: tuple[int, ...] = ()
    """Tokens after the turns: the beginning of the next one, perhaps."""

    is_kept_answer: bool = False
    """Whether they were computed as an answer, else in batches."""

    @property
    def length(self) -> int:
        """Tokens of the whole turns."""
        return sum(map(len, self.turns))

    @property
    def end(self) -> int:
        """Tokens that the sequence holds."""
        return self.length + len(self.partial)


class KVCache:
    """Owns what the sequences of a backbone hold. `set_mix` makes a mix active on the backbone.

    All sequences share the context's cells: where a conversation needs them, the histories that were not used for
    longest go, and are computed anew when they are asked for.
    """

    def __init__(self, backbone: Backbone, set_mix: Callable[[Mapping[str, float]], None]) -> None:
        self._backbone = backbone
        self._set_mix = set_mix
        self._histories: dict[Weights, _History] = {}

    def compute(
        self,
        turns: Sequence[tuple[int, ...]],
        weights: Mapping[str, float],
        room: int,
        cancellation: Cancellation | None = None,
    ) -> Generator[PromptProgress, None, bool]:
        """Makes the history under a mix hold exactly `turns`, computing only what it lacks, and tells how far it is.

        `weights`: the mix, adapter → weight; {} is the spine. `room`: tokens that will be needed beside the history.
        Returns False where it was cancelled; whole batches computed so far stay.
        """
        history = self._history(weights)
        self._keep_shared(history, turns)
        total = sum(map(len, turns))
        self._make_room(history, total + room)
        step = self._backbone.batch_size
        for turn in turns[len(history.turns) :]:
            for start in range(len(history.partial), len(turn), step):
                yield PromptProgress(history.end, total)
                batch = turn[start : start + step]
                self._set_mix(weights)
                computed = False
                try:
                    computed = self._backbone.decode(batch, history.end, history.sequence, cancellation)
                finally:
                    if not computed:
                        self._drop_from(history, history.end)
                if not computed:
                    return False
                history.partial += batch
            history.turns.append(turn)
            history.partial, history.is_kept_answer = (), False
        yield PromptProgress(history.end, total)
        return True

    def _keep_shared(self, history: _History, turns: Sequence[tuple[int, ...]]) -> None:
        """Drops what of a history is not the beginning of these turns."""
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(history.turns, turns, strict=False)))
        next_turn = turns[kept] if kept < len(turns) and kept == len(history.turns) else ()
        shared = common_prefix(history.partial, next_turn)
        if not history.is_kept_answer:
            shared -= shared % self._backbone.batch_size  # within a batch the numbers are those of the whole batch
        if kept < len(history.turns) or shared < len(history.partial):
            history.turns, history.partial = history.turns[:kept], history.partial[:shared]
            self._drop_from(history, history.end)

    def _history(self, weights: Mapping[str, float]) -> _History:
        """The history under a mix, now the last used one; a new one may take the place of that unused for longest."""
        key = tuple(sorted(weights.items()))
        history = self._histories.pop(key, None)
        if history is None:
            taken = {kept.sequence for kept in self._histories.values()}
            free = [sequence for sequence in range(1, 1 + KEPT_HISTORIES) if sequence not in taken]
            history = _History(free[0] if free else self._forget(next(iter(self._histories))))
        self._histories[key] = history
        return history

    def _make_room(self, history: _History, needed: int) -> None:
        for key, other in list(self._histories.items()):
            held = sum(kept.end for kept in self._histories.values()) - history.end
            if held + needed <= self._backbone.context_size:
                return
            if other is not history:
                self._forget(key)

    def _forget(self, key: Weights) -> int:
        """Drops a history; returns the number of its sequence, which is then free."""
        sequence = self._histories.pop(key).sequence
        self._backbone.drop(sequence)
        return sequence

    def _drop_from(self, history: _History, position: int) -> None:
        """Forgets a history from a position on; everything, where the model's memory cannot forget a part."""
        if not self._backbone.drop(history.sequence, position):
            history.turns, history.partial, history.is_kept_answer = [], (), False
            self._backbone.drop(history.sequence)

    def forget_adapter(self, adapter: str) -> None:
        """Drops every history that was computed under an adapter."""
        for key in [key for key in self._histories if adapter in dict(key)]:
            self._forget(key)

    def open_branch(self, weights: Mapping[str, float]) -> None:
        """Starts a branch at the end of the history under a mix; no cell is copied."""
        self._backbone.drop(BRANCH)
        self._backbone.copy_sequence(self._history(weights).sequence, BRANCH)

    def reserve(self, tokens: int) -> None:
        """Makes room for a branch, with the history that it goes on from, of so many tokens."""
        *_, history = self._histories.values()
        self._make_room(history, tokens)

    def keep_branch(self, tokens: tuple[int, ...]) -> None:
        """Closes a branch of the spine, computed under no adapter, and keeps its tokens as the spine's next part.

        What of them the next turn turns out to begin with is not computed again.
        """
        spine = self._history({})
        self._backbone.drop(spine.sequence)
        self._backbone.copy_sequence(BRANCH, spine.sequence)
        spine.partial, spine.is_kept_answer = tokens, True
        self.close_branch()

    def close_branch(self) -> None:
        """Drops the branch; the cells that it shared stay."""
        self._backbone.drop(BRANCH)


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def finish(computation: Generator[PromptProgress, None, bool]) -> bool:
    """Runs a computation to its end; returns what it returns."""
    while True:
        try:
            next(computation)
        except StopIteration as end:
            return bool(end.value)
