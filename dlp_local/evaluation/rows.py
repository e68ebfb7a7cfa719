"""Rows that a pack is measured by: read from JSONL, each on its own, checked, and drawn by a seed.

A row is `{"text": …, "answer": …}`; `prompt` is the same as `text`, and `answers` are several, of which any is right.
It may say whose it is (`adapter`), what was said before (`history`), between what is chosen (`choices`), and how it is
scored (`metric`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.files import decode
from dlp_local.core.json_text import json_value, parse_json
from dlp_local.core.text import did_you_mean, is_unicode, unknown_name
from dlp_local.core.values import BASE, Message
from dlp_local.evaluation.metrics import METRICS, missing_package
from dlp_local.evaluation.row import EvalRow

FIELDS = ("text", "prompt", "answer", "answers", "adapter", "history", "choices", "metric", "id")
ROW = 'Write {"text": "…", "answer": "…"}.'
ROW_HELP = (
    '{"text": …, "answer": … or "answers": […]}, and perhaps "adapter" (whose it is), "history" (messages before it), '
    '"choices" and "metric".'
)
"""What a row may say, for the help of the command."""

NAME = "the row"
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that cannot be measured by, and why."""

    line: int
    reason: str


def read_rows(
    lines: Iterable[tuple[int, bytes]], adapters: Collection[str]
) -> tuple[tuple[EvalRow, ...], tuple[RowProblem, ...]]:
    """The rows of numbered lines, and the lines that are none; `adapters` are those that a row may belong to."""
    rows, problems = list[EvalRow](), list[RowProblem]()
    for number, line in lines:
        try:
            rows.append(_row(_fields(line), number, adapters))
        except InputError as error:
            problems.append(RowProblem(number, str(error)))
    return tuple(rows), tuple(problems)


def by_seed(rows: Iterable[EvalRow], seed: int) -> list[EvalRow]:
    """Rows in an order that a seed decides, whatever that in which they come."""
    return sorted(rows, key=lambda row: hashlib.sha256(f"{seed} {row.identity}".encode()).digest())


def draw(rows: Sequence[EvalRow], limit: int | None, seed: int) -> tuple[EvalRow, ...]:
    """At most `limit` rows (None: all), evenly over the tasks, in an order that does not depend on that of the file.

    The same seed draws the same rows, and a smaller limit a part of them.
    """
    by_task = defaultdict[str, list[EvalRow]](list)
    for row in by_seed(rows, seed):
        by_task[row.task].append(row)
    drawn = [row for row in chain(*zip_longest(*(by_task[task] for task in sorted(by_task)))) if row is not None]
    return tuple(sorted(drawn[:limit], key=lambda row: (row.task, row.identity)))


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = parse_json(decode(line, NAME), NAME, "Write one object a line.")
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{NAME}: ")) from None
    if not isinstance(fields, dict):
        raise InputError(f"is no object. {ROW}")
    for name in fields:
        if name not in FIELDS:
            near = did_you_mean(name, FIELDS) or f" There are {', '.join(FIELDS)}."
            raise InputError(f"{name[:64]}: there is no field of that name.{near}")
    return {name: value for name, value in fields.items() if value is not None}


def _row(fields: Mapping[str, Any], number: int, adapters: Collection[str]) -> EvalRow:
    if "text" in fields and "prompt" in fields:
        raise InputError("has a text and a prompt, which are the same. Leave one out.")
    if "answer" in fields and "answers" in fields:
        raise InputError("has an answer and answers. Leave one out.")
    text = _text(fields.get("text", fields.get("prompt")), "text")
    given = fields.get("answers", [fields["answer"]] if "answer" in fields else [])
    if not isinstance(given, list) or not given:
        raise InputError(f"has no answer. {ROW}")
    answers = tuple(_answer(answer) for answer in given)
    adapter = fields.get("adapter")
    if adapter is not None and adapter not in adapters and adapter != BASE:
        known = [*adapters, BASE]
        raise InputError(f"adapter: {unknown_name('adapter', str(adapter)[:64], known)}")
    choices = _choices(fields.get("choices", []), answers)
    metric = _metric(fields.get("metric"), answers, choices)
    return EvalRow(text, answers, metric, adapter, _history(fields.get("history", [])), choices, number)


def _metric(given: Any, answers: Sequence[str], choices: Sequence[str]) -> str:
    """The metric that a row names, or the one that fits its answers."""
    if given is None:
        given = "choice" if choices else "object" if all(isinstance(json_value(a), dict) for a in answers) else "exact"
    if given not in METRICS:
        raise InputError(f"metric: {unknown_name('metric', str(given)[:64], METRICS)}")
    if METRICS[given].of_choices and not choices:
        raise InputError(f'metric: {given} is of rows with choices. Give "choices": ["…", "…"].')
    if given in ("object", "slot-f1") and any(json_value(answer) is None for answer in answers):
        raise InputError(f"metric: {given} is of JSON objects, and an answer is none. Give it as one.")
    if package := missing_package(given):
        raise InputError(
            f"metric: {given} needs the package {package}, which is not installed. "
            "Install it: pip install 'dlp-local[eval]'."
        )
    return str(given)


def _choices(given: Any, answers: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise InputError('choices: give a list of texts, ["…", "…"].')
    choices = tuple(_text(choice, "choices") for choice in given)
    if choices and (len(set(choices)) != len(choices) or len(choices) == 1):
        raise InputError("choices: give two or more, each once.")
    if choices and (wrong := next((answer for answer in answers if answer not in choices), None)) is not None:
        raise InputError(f"choices: the answer '{wrong[:64]}' is none of them. Write it as one of them is written.")
    return choices


def _history(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise InputError('history: give a list of messages, [{"role": "user", "content": "…"}, …].')
    messages = []
    for index, message in enumerate(given):
        role = message.get("role")
        if role not in _ROLES or (role == "system" and index):
            raise InputError(
                f"history: message {index + 1} has the role {str(role)[:32]!r}. Use user and assistant, and system "
                "for the first alone."
            )
        messages.append(Message(role, _text(message.get("content"), f"history: message {index + 1}: content")))
    return tuple(messages)


def _answer(value: Any) -> str:
    """An answer: text, or the object or list that it is to be as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else _text(value, "answer")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name}: is missing, empty or no text. {ROW}")
    if not is_unicode(value):
        raise InputError(f"{name}: holds half a character. Write it as UTF-8.")
    return value
