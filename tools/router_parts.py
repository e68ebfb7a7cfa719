"""Training messages for a router that is asked about parts of a message: pieces of rows, and rows put together.

A message is cut at line breaks, ends of sentences and joints ("and", "then", "also"), and its pieces are routed one by
one (`dlp_local.routing.parts`). So a router sees pieces of a task's messages under that task, and messages of two tasks
under both: it is to be sure of each part and unsure of the whole.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence

JOINTS = ("\n", "\n\n", ". ", ". ", "; ", " and ", " and then ", ", then ", " then ", ". Also ", ", and ")
TRIPLES = 0.06
"""Of the composites, those of three tasks."""

_CUT = re.compile(r"\s*\n\s*|(?<=[.!?;])\s+|,? (?:and then|then|also|and) ")
_LIST = re.compile(r"(?<=\]), ")
_LEADS = ("please ", "also ", "can you ", "then ", "next, ", "first ")
_KEPT_CAPITAL = re.compile(r"I\b|[A-Z]{2}|[A-Z]\w*[A-Z]")


def as_part(message: str, rng: random.Random) -> str:
    """A message as it stands beside another: often without its capital and its last mark, at times led by a word."""
    if rng.random() < 0.5:
        message = message.rstrip(".?! ") or message
    if rng.random() < 0.5 and not _KEPT_CAPITAL.match(message):
        message = message[:1].lower() + message[1:]
    return rng.choice(_LEADS) + message if rng.random() < 0.15 else message


def pieces(message: str) -> list[str]:
    """What a message is cut into, one by one, and the runs that leave out its first or its last piece."""
    cut = _LIST if _LIST.search(message) else _CUT
    ends = [0, *(match.end() for match in cut.finditer(message)), len(message)]
    starts = [*(match.start() for match in cut.finditer(message)), len(message)]
    if len(starts) < 2:
        return []
    single = [message[start:end] for start, end in zip(ends, starts, strict=False)]
    runs = [message[ends[1] :], message[: starts[-2]]] if len(starts) > 2 else []
    return list(dict.fromkeys(text.strip() for text in (*single, *runs) if len(text.strip()) > 1))


def piece_rows(
    messages: Mapping[str, Sequence[str]], counts: Mapping[str, int], rng: random.Random
) -> list[tuple[str, str]]:
    """Pieces of each task's messages with the task as their label, `counts` of each at most, without repeats."""
    rows = []
    for task, count in counts.items():
        made: dict[str, None] = {}
        for message in rng.sample(list(messages[task]), len(messages[task])):
            made |= dict.fromkeys(pieces(message))
            if len(made) >= count:
                break
        rows += [(text, task) for text in list(made)[:count]]
    return rows


def composite_rows(
    messages: Mapping[str, Sequence[str]], for_each_pair: int, talk: Sequence[str], rng: random.Random
) -> list[tuple[str, str]]:
    """Messages of two tasks, at times of three, each under all its labels; and those of a task and small talk."""
    rows = []
    for pair in itertools.combinations(sorted(messages), 2):
        for _ in range(for_each_pair):
            labels = list(pair)
            if rng.random() < TRIPLES:
                labels.append(rng.choice([task for task in messages if task not in pair]))
            rng.shuffle(labels)
            text = _joined([rng.choice(messages[label]) for label in labels], rng)
            rows += [(text, label) for label in labels]
    for task in messages:
        for _ in range(for_each_pair):
            parts = [rng.choice(messages[task]), rng.choice(talk)]
            rng.shuffle(parts)
            rows.append((_joined(parts, rng), task))
    return rows


def _joined(parts: Sequence[str], rng: random.Random) -> str:
    text = ""
    for part in parts:
        joint = rng.choice(JOINTS) if text else ""
        if joint and joint[0] in ".;,":
            text = text.rstrip(".?!;, ")
        text += joint + as_part(part, rng)
    return text
