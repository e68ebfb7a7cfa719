"""Metrics of what an answer says: the same text, the same JSON object, its slots, the same command."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
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
        found[path, _leaf(value)] += 1
    return found


def _leaf(value: Any) -> str:
    """A leaf as text: 1 and 1.0 are one number, and true is none."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def slot_counts(answer: str, wanted: str) -> Measures:
    """How many slots are the same, the answer has, and were wanted; an answer that is no JSON has a wrong one."""
    given, right = _slots_of(answer), _slots_of(wanted) or Counter()
    if given is None:
        given = Counter({((), ""): 1})
    return float((given & right).total()), float(given.total()), float(right.total())


def _slots_of(text: str) -> Slots | None:
    """The slots of a JSON object or list; None where a text is none, or is nested too deeply."""
    try:
        return None if (value := json_value(text)) is None else slots(value)
    except RecursionError:
        return None


def f1(sums: Floats) -> Floats:
    """F₁ = 2·same / (given + wanted), shape (…, 3) → (…); 1 where nothing was wanted and nothing given."""
    sizes = sums[..., 1] + sums[..., 2]
    return np.asarray(np.where(sizes > 0, 2 * sums[..., 0] / np.maximum(sizes, 1e-300), 1.0))


def _value(measures: Measures) -> float:
    return float(f1(np.array(measures)))


def _no_json(answers: Sequence[str]) -> str:
    is_json = all(_slots_of(answer) is not None for answer in answers)
    return "" if is_json else "is of JSON objects and lists, and an answer is none. Give it as one."


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
    "the same JSON object or list",
    lambda answer, row: any(is_same_json(answer, wanted) for wanted in row.answers),
    also=("slot-f1", "exact"),
    misfit=_no_json,
)
SLOT_F1 = Metric(
    "slot-f1",
    "F₁ of the slots of a JSON object or list, over all rows",
    _best_slots,
    f1,
    _value,
    also=("object", "exact"),
    misfit=_no_json,
)
COMMAND = mean_metric(
    "command",
    "the same words of a command",
    lambda answer, row: any(same_command(answer, wanted) for wanted in row.answers),
    also=("exact",),
)
