"""The KV cache as a store of histories by their content, which no answer of another mix ever touches.

A history is a conversation so far, computed by the bare backbone; it serves every mix. An answer is a branch: it shares
the history's cells, and its own message and tokens are computed there under its mix. Adapters that want the whole
context under their own weights (`scope = "context"`) get histories computed under them. Each turn of a history is
computed as a batch of its own, so the numbers in the cache are the same whether a conversation was kept, cut or built
up from nothing: bit for bit with one history in the cells, and to rounding with several, for attention sums over cells
in their order. Conversations that begin alike, by their system prompt or because one branched off the other, share the
cells of that beginning. A branch under no adapter can become its history's next part as it is: its answer was computed
token by token, so these numbers are the same to rounding only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from dlp_local.core.events import PromptProgress
from dlp_local.core.values import Weights
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.work import Computation, Piece
from dlp_local.engine.prompt import Tokens

IDLE_CONTEXTS = 2
"""Contexts' tokens of conversations that rest that are kept where several replies may run.

A thousand of them take 6 ms of a step of 16 answers, and 5 s to be read again (SmolLM2-135M, 2 cores).
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """A computed turn: its cells, which several sequences may share."""

    tokens: Tokens


@dataclass(slots=True, eq=False)
class History:
    """The turns that a sequence holds, computed under a mix."""

    sequence: int
    weights: Weights
    turns: list[_Turn] = field(default_factory=list)
    partial: Tokens = ()
    """Tokens after the turns: the beginning of the next one, perhaps."""

    is_kept_answer: bool = False
    """Whether they were computed as an answer, else in batches."""

    branches: int = 0
    """Open branches that begin where it ends."""

    coming: Sequence[Tokens] | None = None
    """The turns that it will hold, while a running computation adds them to it."""

    reused: int = 0
    """Tokens of it that were there when it was asked for last."""

    @property
    def grows(self) -> bool:
        """Whether a running computation adds turns to it."""
        return self.coming is not None

    @property
    def length(self) -> int:
        """Tokens of the whole turns."""
        return sum(len(turn.tokens) for turn in self.turns)

    @property
    def end(self) -> int:
        """Tokens that the sequence holds."""
        return self.length + len(self.partial)

    def shared(self, turns: Sequence[Tokens]) -> int:
        """How many whole turns it begins with in common."""
        return common_prefix([turn.tokens for turn in self.turns], turns)


@dataclass(slots=True, eq=False)
class Branch:
    """The sequence of an answer: the cells of a history, and `own` more."""

    sequence: int
    history: History
    turns: tuple[_Turn, ...]
    own: int = 0


class KVCache:
    """Owns what the sequences of a backbone hold.

    All sequences share the context's cells: where they are needed, the histories that were not used for longest go, and
    are computed anew when they are asked for. What is kept for conversations that rest is bounded, for attention
    passes over the cells of others, too. With room for one reply at a time there is one history for each mix.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._histories: list[History] = []
        """The last used one at the end."""

        self._branches: list[Branch] = []
        self._taken = 0
        """At least as many cells as are in use."""

        self._keeps_several = backbone.branches > 1

    # ---- histories ----

    def compute(self, turns: Sequence[Tokens], weights: Weights) -> Computation[History | None]:
        """Gives a history that holds exactly `turns` under a mix, after computing only what none holds.

        Without weights that is the bare backbone. Tells how far it is. Gives None where it was cancelled; whole batches
        computed so far stay.
        """
        history = self._history(weights, turns)
        history.reused = history.end
        total, step = sum(map(len, turns)), self._backbone.batch_size
        try:
            for turn in turns[len(history.turns) :]:
                for start in range(len(history.partial), len(turn), step):
                    yield PromptProgress(history.end, total)
                    batch, computed = turn[start : start + step], False
                    try:
                        row = yield Piece(batch, history.end, history.sequence, history.weights, total - history.end)
                        computed = row is not None
                    finally:
                        if not computed:
                            self._drop_from(history, history.end)
                    if not computed:
                        return None
                    history.partial += batch
                history.turns.append(_Turn(turn))
                history.partial, history.is_kept_answer = (), False
            yield PromptProgress(history.end, total)
            return history
        finally:
            history.coming = None

    def is_coming(self, turns: Sequence[Tokens], weights: Weights) -> bool:
        """Whether a running computation reads turns of a history that are not there yet: they are worth waiting for."""
        alike = [history for history in self._histories if history.weights == weights]
        there = max((history.shared(turns) for history in alike), default=0)
        return any(common_prefix(history.coming or (), turns) > there for history in alike)

    def _history(self, weights: Weights, turns: Sequence[Tokens]) -> History:
        """The best history to go on from, now the last used one, cut to what it has in common with `turns`."""
        alike = [history for history in self._histories if history.weights == weights]
        in_common = [(history.shared(turns), self._shared_partial(history, turns)) for history in alike]
        kept, partial = max(in_common, default=(0, 0))
        best = alike[in_common.index((kept, partial))] if alike else None
        if best is None:
            best = self._add(History(self._free_sequence(), weights))
        has_more = kept < len(best.turns) or partial < len(best.partial)
        if best.grows or (has_more and self._keeps_several):
            best = self._fork(best, kept)
        elif has_more:
            best.turns, best.partial = best.turns[:kept], best.partial[:partial]
            self._drop_from(best, best.end)
        self._histories.remove(best)
        self._histories.append(best)
        best.coming = turns
        self._limit_idle()
        return best

    def _shared_partial(self, history: History, turns: Sequence[Tokens]) -> int:
        """How many of a history's tokens after its turns are of use for the turn that follows."""
        kept = history.shared(turns)
        next_turn = turns[kept] if kept < len(turns) and kept == len(history.turns) else ()
        shared = common_prefix(history.partial, next_turn)
        if not history.is_kept_answer:
            shared -= shared % self._backbone.batch_size  # within a batch the numbers are those of the whole batch
        return shared

    def _fork(self, history: History, kept: int) -> History:
        """Another history that shares the first turns of this one."""
        history.branches += 1  # it must not make room for its own copy
        try:
            fork = self._add(History(self._free_sequence(), history.weights, history.turns[:kept]))
        finally:
            history.branches -= 1
        if kept and not self._backbone.copy_start(history.sequence, fork.sequence, fork.end):
            fork.turns = []
        return fork

    def _add(self, history: History) -> History:
        self._histories.append(history)
        return history

    def _free_sequence(self) -> int:
        """A sequence for a history; as many as may yet branch off stay free."""
        free = self._free_sequences()
        if len(free) > self._backbone.branches - len(self._branches):
            return free[0]
        return self._forget(next(self._idle()))

    def _free_sequences(self) -> list[int]:
        taken = {history.sequence for history in self._histories} | {branch.sequence for branch in self._branches}
        return [sequence for sequence in range(self._backbone.sequences) if sequence not in taken]

    def _idle(self) -> Iterator[History]:
        """What no running reply needs, the least recently used first."""
        return (history for history in self._histories if not (history.grows or history.branches))

    def _forget(self, history: History) -> int:
        """Drops a history; returns the number of its sequence, which is then free."""
        self._histories.remove(history)
        self._backbone.drop(history.sequence)
        return history.sequence

    def _drop_from(self, history: History, position: int) -> None:
        """Forgets a history from a position on; everything, where the model's memory cannot forget a part."""
        if not self._backbone.drop(history.sequence, position):
            history.turns, history.partial, history.is_kept_answer = [], (), False
            self._backbone.drop(history.sequence)

    def clear(self) -> None:
        """Drops every history; no reply may run."""
        for history in list(self._histories):
            self._forget(history)

    def forget_adapter(self, adapter: str) -> None:
        """Drops every history that was computed under an adapter; no reply under it may run."""
        for history in [kept for kept in self._histories if adapter in dict(kept.weights)]:
            self._forget(history)

    # ---- branches ----

    def open_branch(self, history: History) -> Branch:
        """Starts a branch at the end of a history; no cell is copied."""
        branch = Branch(self._free_sequences()[0], history, tuple(history.turns))
        self._backbone.copy_sequence(history.sequence, branch.sequence)
        history.branches += 1
        self._branches.append(branch)
        return branch

    def keep_branch(self, branch: Branch, tokens: Tokens) -> None:
        """Keeps a branch's tokens, computed under no adapter, as its history's next part, where that did not go on.

        What of them the next turn turns out to begin with is not computed again.
        """
        history = branch.history
        if history.grows or history.branches > 1 or tuple(history.turns) != branch.turns or history.partial:
            return
        history.sequence, branch.sequence = branch.sequence, history.sequence
        history.partial, history.is_kept_answer = tokens, True

    def close_branch(self, branch: Branch) -> None:
        """Drops a branch, open or not; the cells that it shared stay."""
        if branch in self._branches:
            self._branches.remove(branch)
            branch.history.branches -= 1
            self._backbone.drop(branch.sequence)

    # ---- room ----

    def reserve(self, count: int) -> bool:
        """Makes room for so many more tokens; False where what running replies hold leaves none.

        A running reply notes in `Branch.own` what it has computed.
        """
        self._taken += count
        if self._taken <= self._backbone.cells:
            return True
        self._taken = self._used(self._histories) + count
        while self._taken > self._backbone.cells and (history := next(self._idle(), None)):
            self._forget(history)
            self._taken = self._used(self._histories) + count
        if self._taken <= self._backbone.cells:
            return True
        self._taken -= count
        return False

    def _used(self, histories: Iterable[History]) -> int:
        """Cells that these histories and all branches hold, shared ones once."""
        histories = list(histories)
        holders = [*(history.turns for history in histories), *(branch.turns for branch in self._branches)]
        turns = {turn for holder in holders for turn in holder}
        partial = sum(len(history.partial) for history in histories) + sum(branch.own for branch in self._branches)
        return sum(len(turn.tokens) for turn in turns) + partial

    def _limit_idle(self) -> None:
        """Drops the least recently used of what is idle until the rest of it fits."""
        room = self._backbone.context_size * (IDLE_CONTEXTS if self._keeps_several else 1)
        while idle := list(self._idle()):
            working = [history for history in self._histories if history not in idle]
            if self._used(self._histories) - self._used(working) <= room:
                return
            self._forget(idle[0])


def common_prefix(one: Sequence[object], other: Sequence[object]) -> int:
    """How many tokens, or turns, two sequences begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
