"""What a metric is: what it measures of one answer, and the score of the sum of what was measured.

Every metric is a function of sums over rows, so that a row that a resampling drew twice is counted twice, also by
BLEU, which is no mean of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlp_local.evaluation.row import EvalRow

Floats = npt.NDArray[np.float64]
Measures = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """A way of scoring, from 0 to 1; `title` says what it is.

    `measure` gives numbers for an answer to a row. `total` maps sums of them, shape (…, k), to scores, shape (…).
    `value` is the score of one row alone, by which answers to it are ranked. `package` is what it needs of the `eval`
    extra. `also` names the metrics that are reported beside it, where they can be had. `misfit` says why a row with
    some right answers cannot be scored by it, and what to do; nothing where it can.
    """

    name: str
    title: str
    measure: Callable[[str, EvalRow], Measures]
    total: Callable[[Floats], Floats]
    value: Callable[[Measures], float]
    package: str = ""
    also: tuple[str, ...] = ()
    of_choices: bool = False
    misfit: Callable[[Sequence[str]], str] = lambda answers: ""


def mean_of(sums: Floats) -> Floats:
    """The mean of a score: its sum and the number of rows, shape (…, 2) → (…); 0 of no rows."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1.0))


def mean_metric(
    name: str,
    title: str,
    score: Callable[[str, EvalRow], float],
    package: str = "",
    also: tuple[str, ...] = (),
    *,
    of_choices: bool = False,
    misfit: Callable[[Sequence[str]], str] = lambda answers: "",
) -> Metric:
    """A metric that is the mean of its rows' scores."""
    return Metric(
        name, title, lambda answer, row: (float(score(answer, row)), 1.0), mean_of, lambda measures: measures[0],
        package, also, of_choices, misfit,
    )  # fmt: skip
