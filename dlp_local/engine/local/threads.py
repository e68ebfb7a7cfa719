"""How many threads compute a token: measured while the answer is written, for the machine's other programs change it.

llama.cpp's threads wait for each other after every matrix. Where another program takes the core of one of them, all
wait for that one, and fewer threads are faster: `python -m tools.bench.threads` (figures in docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TRIAL = 2
"""Tokens for which another number of threads is tried."""

TRIAL_SHARE = 0.03
"""Share of the time that trials may cost."""

FEWEST, MOST = 16, 2000
"""Tokens between two trials of one number of threads: at least, at most."""

LONGEST_PAUSE = 2
"""Each trial in a row that fails doubles the tokens until the next one, up to so many times."""

WEIGHT = 0.2
"""Of the newest token in the running mean of a token's time."""

CLEARLY = 0.95
"""A number of threads takes over where its tokens take less than this share of the time."""

JUMP = 1.3
"""A running mean so many times that of the last trial means that the machine's load has changed."""


def ladder(most: int) -> tuple[int, ...]:
    """The numbers of threads that are worth a trial, ascending: all, all but one, half, a quarter, one."""
    return tuple(sorted({1, max(1, most // 4), max(1, most // 2), max(1, most - 1), most}))


@dataclass(slots=True)
class _Rival:
    """A number of threads that is not in use: when it is tried next."""

    tokens_left: int = 1
    pause: int = 1
    """How many times as long as its trials cost it is left alone."""

    current_then: float = 0.0
    """Mean seconds of a token, under the number in use, when it was tried last; 0: never tried."""


class ThreadChooser:
    """Chooses among `counts`, ascending numbers of threads; begins with the last.

    `count` is the number for the next token, and `record` takes the seconds that it took. Each other number is tried
    for `TRIAL` tokens from time to time: the rarer the slower it was, so that trials cost `TRIAL_SHARE` of the time,
    and at once where the tokens of the number in use have become slower.

    The next tokens of several answers, computed together, count as one; only times of as many answers are compared.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        *others, most = counts
        self.count = self.settled = most
        """`settled` is the number in use, for what is not recorded: a prompt."""

        self._answers = 1
        """Whose times are compared."""

        self._mean = 0.0
        self._rivals = {count: _Rival() for count in others}
        self._trial: list[float] = []

    def count_for(self, answers: int) -> int:
        """The number for the next tokens of so many answers; a trial is of as many as those before it."""
        return self.count if answers == self._answers else self.settled

    def record(self, seconds: float, answers: int = 1) -> None:
        """Takes the seconds of a token of each of so many answers, by `count_for` them, and chooses for the next."""
        if answers != self._answers:
            self._compare_anew(answers)
        if self.count != self.settled:
            self._try(seconds)
            return
        self._mean += WEIGHT * (seconds - self._mean) if self._mean else seconds
        for count, rival in self._rivals.items():
            rival.tokens_left -= 1
            if rival.current_then and self._mean > JUMP * rival.current_then:
                rival.tokens_left, rival.pause = 0, 1
            if rival.tokens_left <= 0:
                self.count = count
                return

    def _compare_anew(self, answers: int) -> None:
        """Gives a trial up that has begun, and forgets the times of another number of answers."""
        self._answers, self.count, self._mean = answers, self.settled, 0.0
        self._trial.clear()
        for rival in self._rivals.values():
            rival.current_then = 0.0

    def _try(self, seconds: float) -> None:
        """Takes a token of a trial; at its end, keeps the number that is tried or goes back."""
        self._trial.append(seconds)
        mean = sum(self._trial) / len(self._trial)
        if len(self._trial) < TRIAL and mean < 2 * self._mean:
            return
        cost = sum(self._trial) - self._mean * len(self._trial)
        self._trial.clear()
        if mean < CLEARLY * self._mean:
            del self._rivals[self.count]
            self._rivals[self.settled] = _Rival(FEWEST, current_then=mean)
            self.settled, self._mean = self.count, mean
            return
        rival = self._rivals[self.count]
        wait = rival.pause * len(self._rivals) * cost / (TRIAL_SHARE * self._mean)
        rival.tokens_left = round(min(max(wait, FEWEST), MOST))
        rival.pause = min(2 * rival.pause, LONGEST_PAUSE)
        rival.current_then = self._mean
        self.count = self.settled
