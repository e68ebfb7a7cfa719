"""Log probabilities of an answer's tokens, told as their texts are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dlp_local.core.events import ReasoningDelta, TextDelta, TokenScore, TokenScores
from dlp_local.engine.calls.reader import CallDelta
from dlp_local.engine.prompt import Vocabulary


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The natural logarithms of the probabilities that logits stand for, shape (vocabulary,)."""
    shifted = logits.astype(np.float64) - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


class ScoreKeeper:
    """Keeps each token's scores until its text is passed on: those of reasoning, calls and stop texts are dropped."""

    def __init__(self, vocabulary: Vocabulary, best: int) -> None:
        """`best`: so many of the most probable tokens are told beside each."""
        self._vocabulary, self._best = vocabulary, best
        self._kept: deque[tuple[int, TokenScores]] = deque()
        """Each with where its token's bytes end."""

        self._read = b""
        """The bytes of tokens that were not passed on."""

        self._start = 0
        """Where they stand among all of the answer's bytes."""

    def note(self, token: int, logits: NDArray[np.float32]) -> None:
        """Takes note of a token that was drawn from these logits."""
        scores = log_softmax(logits)
        best = np.argpartition(-scores, self._best)[: self._best] if self._best else np.arange(0)
        ranked = best[np.argsort(-scores[best], kind="stable")]
        chosen, *others = (TokenScore(self._bytes(int(one)), float(scores[one])) for one in (token, *ranked))
        self._read += self._vocabulary.piece(token)
        self._kept.append((self._start + len(self._read), TokenScores(chosen, tuple(others))))

    def _bytes(self, token: int) -> bytes:
        return self._vocabulary.piece(token) or self._vocabulary.name(token).encode()

    def told(self, deltas: Iterable[CallDelta]) -> Iterator[CallDelta | TokenScores]:
        """The same events, and before each text the scores of the tokens that it is made of."""
        for delta in deltas:
            if isinstance(delta, TextDelta | ReasoningDelta):
                passed = self._passed(delta.text.encode("utf-8", "surrogatepass"))
                yield from passed if isinstance(delta, TextDelta) else ()
            else:
                self._forget()
            yield delta

    def _passed(self, text: bytes) -> list[TokenScores]:
        """The scores of the tokens of a text; what was read before it was not shown, and is dropped."""
        at = max(self._read.find(text), 0)
        begin, end = self._start + at, self._start + at + len(text)
        self._read, self._start = self._read[at + len(text) :], end
        passed = []
        while self._kept and self._kept[0][0] - len(self._kept[0][1].chosen.token) < end:
            token_end, scores = self._kept.popleft()
            if token_end > begin:
                passed.append(scores)
        return passed

    def _forget(self) -> None:
        self._start += len(self._read)
        self._read = b""
        self._kept.clear()
