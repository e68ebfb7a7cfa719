"""Spine and branch: the KV cache that no answer of another mix ever touches.

The spine (sequence 0) holds the conversation so far, computed by the bare backbone. An answer is a branch (sequence
1): it shares the spine's cells, and its own message and tokens are computed there under its mix. Each turn of the
spine is computed as a batch of its own, so the numbers in the cache are the same whether a conversation was kept,
cut or built up from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from dlp_local.engine.llama import Backbone

SPINE, BRANCH = 0, 1


class KVCache:
    """Owns what the two sequences of a backbone hold."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._turns: list[tuple[int, ...]] = []

    @property
    def length(self) -> int:
        """Tokens on the spine."""
        return sum(map(len, self._turns))

    def commit(self, turns: Sequence[tuple[int, ...]]) -> bool:
        """Makes the spine hold exactly `turns`, computing only what it lacks, without any adapter.

        Returns False where the backbone was interrupted; whole turns computed so far stay.
        """
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._turns, turns, strict=False)))
        self._cut(kept)
        for turn in turns[len(self._turns) :]:
            self._backbone.set_adapters(())
            position = self.length
            computed = False
            try:
                computed = self._backbone.decode(turn, position, SPINE)
            finally:
                if not computed:
                    self._drop_from(position)
            if not computed:
                return False
            self._turns.append(turn)
        return True

    def _cut(self, turns: int) -> None:
        """Forgets all but the first `turns` turns; everything, where the model's memory cannot forget a part."""
        if turns < len(self._turns):
            self._turns = self._turns[:turns]
            self._drop_from(self.length)

    def _drop_from(self, position: int) -> None:
        if not self._backbone.drop(SPINE, position):
            self.forget()

    def forget(self) -> None:
        """Empties the spine."""
        self._turns = []
        self._backbone.drop(SPINE)

    def open_branch(self) -> None:
        """Starts a branch at the end of the spine; no cell is copied."""
        self._backbone.drop(BRANCH)
        self._backbone.copy_sequence(SPINE, BRANCH)

    def close_branch(self) -> None:
        """Drops the branch; the spine's cells stay."""
        self._backbone.drop(BRANCH)
