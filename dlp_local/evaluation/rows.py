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
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.files import decode
from dlp_local.core.json_text import json_value, parse_json, repeated_key
from dlp_local.core.text import did_you_mean, is_unicode, switched_off, unknown_name, visible
from dlp_local.core.values import BASE, Message
from dlp_local.evaluation.metrics import METRICS, OF_JSON, missing_package
from dlp_local.evaluation.row import EvalRow

FIELDS = ("text", "prompt", "answer", "answers", "adapter", "history", "choices", "metric", "id")
ROW = 'Write {"text": "…", "answer": "…"}.'
TEXTS = '["…", "…"]'
MESSAGES = '[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'
ROW_HELP = (
    '{"text": …, "answer": … or "answers": […]}, and perhaps "adapter" (whose it is), "history" (messages before it), '
    '"choices" and "metric".'
)
"""What a row may say, for the help of the command."""

TURNS = "Write a user's and the assistant's messages in turn, the assistant's last: the row's own text comes after it."
NAME = "the row"
NAMED = 5
"""Lines that are named where many are meant."""

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that cannot be measured by, and why."""

    line: int
    reason: str


def read_rows(
    lines: Iterable[tuple[int, bytes]], adapters: Collection[str], disabled: Collection[str] = ()
) -> tuple[tuple[EvalRow, ...], tuple[RowProblem, ...]]:
    """The rows of numbered lines, and the lines that are none.

    `adapters` are those that a row may belong to; `disabled` are others of the pack.
    """
    rows, problems = list[EvalRow](), list[RowProblem]()
    for number, line in lines:
        try:
            rows.append(_row(_fields(line), number, adapters, disabled))
        except InputError as error:
            problems.append(RowProblem(number, visible(str(error))))
        except RecursionError:
            problems.append(RowProblem(number, "is nested too deeply. Write one object a line."))
    return tuple(rows), tuple(problems)


def each_once(rows: Iterable[EvalRow]) -> tuple[EvalRow, ...]:
    """Rows of which each asks something else: those that ask the same are one, any of their answers is right."""
    by_question = defaultdict[str, list[EvalRow]](list)
    for row in rows:
        by_question[row.question].append(row)
    return tuple(map(_joined, by_question.values()))


def _joined(alike: Sequence[EvalRow]) -> EvalRow:
    first, *others = alike
    if all(row.answers == first.answers for row in others):
        return first
    return replace(first, answers=tuple(sorted({answer for row in alike for answer in row.answers})))


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


def named_lines(lines: Sequence[int]) -> str:
    """`line 2`, `lines 2, 3 and 4`, `lines 2, 3, 4, 5, 6 and 97 more`."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    named = list(map(str, lines[:NAMED]))
    *first, last = [*named, f"{len(lines) - NAMED} more"] if len(lines) > NAMED else named
    return f"lines {', '.join(first)} and {last}"


def _fields(line: bytes) -> dict[str, Any]:
    try:
        text = decode(line, NAME).rstrip()
        fields = parse_json(text, NAME, "Write one object a line.")
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{NAME}: ")) from None
    if not isinstance(fields, dict):
        raise InputError(f"is no object. {ROW}")
    for name in fields:
        if name not in FIELDS:
            near = did_you_mean(name, FIELDS) or f" There are {', '.join(FIELDS)}."
            raise InputError(f"{name[:64]}: there is no field of that name.{near}")
    json.loads(text, object_pairs_hook=_check_keys)
    return {name: value for name, value in fields.items() if value is not None}


def _check_keys(pairs: Sequence[tuple[str, Any]]) -> None:
    """Raises `InputError` for an object in which a key is there twice, of which JSON keeps the last."""
    if (twice := repeated_key(pairs)) is not None:
        raise InputError(f"{twice[:64] or 'the empty name'}: is there twice. Leave one out.")


def _row(fields: Mapping[str, Any], number: int, adapters: Collection[str], disabled: Collection[str] = ()) -> EvalRow:
    if "text" in fields and "prompt" in fields:
        raise InputError("has a text and a prompt, which are the same. Leave one out.")
    if "answer" in fields and "answers" in fields:
        raise InputError("has an answer and answers. Leave one out.")
    name = "prompt" if "prompt" in fields else "text"
    text = _text(fields.get(name), name)
    given = _given_answers(fields)
    answers = tuple(map(_answer, given))
    adapter = _adapter(fields.get("adapter"), adapters, disabled)
    choices = _choices(fields["choices"], answers) if "choices" in fields else ()
    metric = _metric(fields.get("metric"), answers, choices)
    if any(isinstance(answer, list) for answer in given) and metric not in OF_JSON:
        meant = 'did you mean "answers", of which any is right? ' if "answer" in fields else ""
        raise InputError(f'answer: is a list; {meant}A list that is to be answered as JSON needs "metric": "object".')
    return EvalRow(text, answers, metric, adapter, _history(fields.get("history", [])), choices, number)


def _given_answers(fields: Mapping[str, Any]) -> list[Any]:
    given = fields.get("answers", [fields["answer"]] if "answer" in fields else [])
    if not isinstance(given, list):
        raise InputError(f'answers: is no list. Write "answers": {TEXTS}, or one as "answer".')
    if not given:
        raise InputError(f"has no answer. {ROW}")
    return given


def _adapter(given: Any, adapters: Collection[str], disabled: Collection[str]) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise InputError(f"adapter: is no text. Give a name. There are: {', '.join([*adapters, BASE])}.")
    if given in disabled:
        raise InputError(f"adapter: {switched_off(given)}")
    if given not in adapters and given != BASE:
        raise InputError(f"adapter: {unknown_name('adapter', given[:64], [*adapters, BASE])}")
    return given


def _metric(given: Any, answers: Sequence[str], choices: Sequence[str]) -> str:
    """The metric that a row names, or the one that fits its answers."""
    if given is None:
        given = "choice" if choices else "object" if all(isinstance(json_value(a), dict) for a in answers) else "exact"
    if not isinstance(given, str):
        raise InputError(f"metric: is no text. Give a name. There are: {', '.join(METRICS)}.")
    if given not in METRICS:
        raise InputError(f"metric: {unknown_name('metric', given[:64], METRICS)}")
    if METRICS[given].of_choices and not choices:
        raise InputError(f'metric: {given} is of rows with choices. Give "choices": {TEXTS}.')
    if package := missing_package(given):
        raise InputError(
            f"metric: {given} needs the package {package}, which is not installed. "
            "Install it: pip install 'dlp-local[eval]'."
        )
    if reason := METRICS[given].misfit(answers):
        raise InputError(f"metric: {given} {reason}")
    return given


def _choices(given: Any, answers: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise InputError(f"choices: is no list. Give one of texts, {TEXTS}.")
    choices = tuple(_text(choice, "choices: one", f"Give a list of texts, {TEXTS}.") for choice in given)
    if len(set(choices)) != len(choices) or len(choices) < 2:
        raise InputError("choices: give two or more, each once.")
    if (wrong := next((answer for answer in answers if answer not in choices), None)) is not None:
        raise InputError(f"choices: the answer '{wrong[:64]}' is none of them. Write it as one of them is written.")
    return choices


def _history(given: Any) -> tuple[Message, ...]:
    """The messages before a row's own: a system prompt, perhaps, and then a user's and the assistant's in turn."""
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise InputError(f"history: is no list of messages. Write {MESSAGES}.")
    messages = []
    for index, message in enumerate(given):
        role = message.get("role")
        if role not in _ROLES or (role == "system" and index):
            raise InputError(
                f"history: message {index + 1} has the role {str(role)[:32]!r}. Use user and assistant, and system "
                "for the first alone."
            )
        content = _text(message.get("content"), f"history: message {index + 1}: content", f"Write {MESSAGES}.")
        messages.append(Message(role, content))
    roles = [message.role for message in messages if message.role != "system"]
    first = len(messages) - len(roles) + 1
    for index, role in enumerate(roles):
        wanted = ("user", "assistant")[index % 2]
        if role != wanted:
            raise InputError(f"history: message {first + index} is the {role}'s, where the {wanted}'s is due. {TURNS}")
    if roles and roles[-1] == "user":
        raise InputError(f"history: its last message is the user's, and is not answered. {TURNS}")
    return tuple(messages)


def _answer(value: Any) -> str:
    """An answer: text, or the object or list that it is to be as JSON."""
    return _text(json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value, "answer")


def _text(value: Any, name: str, otherwise: str = ROW) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name}: is missing, empty or no text. {otherwise}")
    if not is_unicode(value):
        raise InputError(f"{name}: holds half a character. Write it as UTF-8.")
    return value
