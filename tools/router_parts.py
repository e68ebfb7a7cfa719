"""Training messages for a router that is asked about parts of a message: pieces of rows, and rows put together.

The product cuts a message at line breaks, ends of sentences and joining words, and routes its pieces one by one. So a
router sees pieces of a task's messages under that task, and messages of two tasks under both: it is to be sure of each
part and unsure of the whole.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence

from dlp_local.core.values import BASE
from dlp_local.routing import parts

JOINTS = ("\n", "\n\n", ". ", ". ", "; ", " and ", " and then ", ", then ", " then ", ". Also ", ", and ")
TRIPLES = 0.06
"""Of the composites, those of three tasks."""

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
    """What a message is cut into, one by one; of three or more also what is left without the first or the last."""
    cut = parts.pieces(message)
    if len(cut) > 2:
        cut = (*cut, slice(cut[1].start, cut[-1].stop), slice(cut[0].start, cut[-2].stop))
    return list(dict.fromkeys(message[piece] for piece in cut if len(message[piece]) > 1))


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
            rows.append((_both(messages[task], talk, rng), task))
    return rows


def request_rows(
    messages: Mapping[str, Sequence[str]], for_each_task: int, requests: Sequence[str], rng: random.Random
) -> list[tuple[str, str]]:
    """Messages of a task and a request to `base`, each under both."""
    texts = [(_both(messages[task], requests, rng), task) for task in messages for _ in range(for_each_task)]
    return [row for text, task in texts for row in ((text, task), (text, BASE))]


def _both(messages: Sequence[str], others: Sequence[str], rng: random.Random) -> str:
    both = [rng.choice(messages), rng.choice(others)]
    rng.shuffle(both)
    return _joined(both, rng)


def _joined(messages: Sequence[str], rng: random.Random) -> str:
    text = ""
    for message in messages:
        joint = rng.choice(JOINTS) if text else ""
        if joint and joint[0] in ".;,":
            text = text.rstrip(".?!;, ")
        text += joint + as_part(message, rng)
    return text
