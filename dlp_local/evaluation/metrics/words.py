"""Metrics of what an answer says: the same text, the same JSON object, its slots, the same command."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from typing import Any

import numpy as np

from dlp_local.core.json_text import is_same_json, json_value
from dlp_local.evaluation.metrics.metric import Floats, Measures, Metric, mean_metric
from dlp_local.evaluation.row import EvalRow


def same_text(answer: str, wanted: str) -> bool:
    """The same characters, but for white space around them."""
    return answer.strip() == wanted.strip()


Slots = Counter[tuple[tuple[str, ...], str]]


def slots(value: Any, path: tuple[str, ...] = ()) -> Slots:
    """The leaves of a JSON value, each with its way there; the entries of a list all have the same way."""
    found: Slots = Counter()
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            found += slots(inner, (*path, key))
    elif isinstance(value, list) and value:
        for inner in value:
            found += slots(inner, (*path, "[]"))
    elif path:
        found[path, json.dumps(value, sort_keys=True)] += 1
    return found


def slot_counts(answer: str, wanted: str) -> Measures:
    """How many slots are the same, the answer has, and were wanted; an answer that is no JSON has a wrong one."""
    value, right = json_value(answer), slots(json_value(wanted))
    given: Slots = slots(value) if value is not None else Counter({((), ""): 1})
    return float((given & right).total()), float(given.total()), float(right.total())


def f1(sums: Floats) -> Floats:
    """F₁ = 2·same / (given + wanted), shape (…, 3) → (…); 1 where nothing was wanted and nothing given."""
    sizes = sums[..., 1] + sums[..., 2]
    return np.asarray(np.where(sizes > 0, 2 * sums[..., 0] / np.maximum(sizes, 1e-300), 1.0))


def _value(measures: Measures) -> float:
    return float(f1(np.array(measures)))


def _best_slots(answer: str, row: EvalRow) -> Measures:
    return max((slot_counts(answer, wanted) for wanted in row.answers), key=_value)


def command_words(command: str) -> list[str]:
    """The words of a shell command as a shell would read them: quotes and white space do not count, nor a prompt `$`.

    Where its quotes do not close, its words are what stands between white space.
    """
    command = command.strip().removeprefix("```sh").removeprefix("```bash").strip("`").strip().removeprefix("$ ")
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        return list(lexer)
    except ValueError:
        return command.split()


def same_command(answer: str, wanted: str) -> bool:
    """The same words in the same order."""
    return command_words(answer) == command_words(wanted)


EXACT = mean_metric(
    "exact", "the same text", lambda answer, row: any(same_text(answer, wanted) for wanted in row.answers)
)
OBJECT = mean_metric(
    "object",
    "the same JSON object",
    lambda answer, row: any(is_same_json(answer, wanted) for wanted in row.answers),
    also=("slot-f1", "exact"),
)
SLOT_F1 = Metric(
    "slot-f1", "F₁ of the slots of a JSON object, over all rows", _best_slots, f1, _value, also=("object", "exact")
)
COMMAND = mean_metric(
    "command",
    "the same words of a command",
    lambda answer, row: any(same_command(answer, wanted) for wanted in row.answers),
    also=("exact",),
)
