"""Two and three tasks in one message: one mix of the whole (top-p), one adapter (top-1), or an answer in parts."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlp_local import Assistant
from dlp_local.evaluation.row import EvalRow
from tools.data import Row
from tools.experiments.answered import answer_all, as_eval_row, opened, valid_rows
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures, Part, Setup
from tools.recipes.recipe import Recipe
from tools.scores import is_right

SIZES = (2, 3)
WAYS = {"top-p": "fusion", "top1": "dispatch", "parts": "parts"}
"""Policies, and how each answers a message of several tasks."""

ALONE = "alone"

JOINTS = ("line break", "full stop", "and")


@dataclass(frozen=True, slots=True)
class Composite:
    """A message made of rows of different adapters, each with its kind and all rows of its message."""

    text: str
    joint: str
    tasks: tuple[tuple[str, tuple[Row, ...]], ...]


def join(first: str, second: str, joint: str) -> str:
    """One message of two."""
    first = first.rstrip()
    if joint == "line break":
        return f"{first}\n{second}"
    if joint == "full stop":
        return f"{first} {second}" if first[-1] in ".!?" else f"{first}. {second}"
    return f"{first.rstrip('.')} and {second}"


def composites(recipe: Recipe, rows: Mapping[str, Sequence[Sequence[Row]]], count: int, size: int) -> list[Composite]:
    """So many messages of `size` rows of different adapters, drawn evenly from the kinds; each joint has its share."""
    rng, made = random.Random(size), list[Composite]()
    while len(made) < count:
        kinds = rng.sample(sorted(rows), size)
        if len({recipe.kinds[kind] for kind in kinds}) < size:
            continue
        drawn = [(kind, tuple(rng.choice(rows[kind]))) for kind in kinds]
        joint = JOINTS[len(made) % len(JOINTS)]
        text = drawn[0][1][0].message
        for _, same in drawn[1:]:
            text = join(text, same[0].message, joint)
        made.append(Composite(text, joint, tuple(drawn)))
    return made


def is_in(reply: str, kind: str, same: Sequence[Row]) -> bool:
    """Whether a right answer to a row is in a reply: as one of its lines or blocks, or as all of it.

    A text that is to be exact may stand between white space and marks in a line.
    """
    pieces = [reply, *re.split(r"\n\s*\n", reply), *reply.splitlines()]
    stripped = {piece.strip(" \t\n`") for piece in pieces}
    if any(is_right(kind, piece, row) for piece in stripped for row in same):
        return True
    if kind in ("actions", "extract", "json", "describe"):
        return False
    return any(re.search(rf"(?<![^\s`'\"]){re.escape(row.answer)}(?![^\s`'\".,;])", reply) for row in same)


def _measured(setup: Setup, assistant: Assistant, rows: Mapping[str, Sequence[Sequence[Row]]], size: int) -> Figures:
    """The figures of messages of `size` tasks: for each way the share of the tasks that are answered in the reply."""
    made = composites(setup.recipe, rows, len(JOINTS) * max(1, setup.rows), size)
    whole = tuple(EvalRow(one.text, (one.text,), "exact", line=number) for number, one in enumerate(made))
    alone = tuple(
        {(kind, same): as_eval_row(setup.recipe, kind, same) for one in made for kind, same in one.tasks}.values()
    )
    of_whole, _ = answer_all(setup, assistant, whole, ",".join(WAYS))
    of_alone, _ = answer_all(setup, assistant, alone, "oracle")
    replies = {(outcome.row.text, outcome.policy): outcome.answer for outcome in of_whole.outcomes}
    right = {(outcome.row.text, outcome.row.adapter): outcome.answer for outcome in of_alone.outcomes}
    found = defaultdict[tuple[str, str], list[list[bool]]](list)
    for one in made:
        if not all((one.text, way) in replies for way in WAYS):
            continue
        known = [
            is_in(right.get((same[0].message, setup.recipe.kinds[kind]), ""), kind, same) for kind, same in one.tasks
        ]
        found[one.joint, ALONE].append(known)
        for way in WAYS:
            found[one.joint, way].append([is_in(replies[one.text, way], kind, same) for kind, same in one.tasks])
    return {
        "messages": {joint: len(found[joint, ALONE]) for joint in JOINTS},
        "answered": {
            joint: {way: _share([flag for flags in found[joint, way] for flag in flags]) for way in (ALONE, *WAYS)}
            for joint in JOINTS
        },
        "all_of_those_right_alone": {
            joint: {
                way: _share(
                    [all(f) for f, known in zip(found[joint, way], found[joint, ALONE], strict=True) if all(known)]
                )
                for way in WAYS
            }
            for joint in JOINTS
        },
        "right_alone": {joint: sum(all(known) for known in found[joint, ALONE]) for joint in JOINTS},
    }


def _share(flags: Sequence[bool]) -> float | None:
    return round(sum(flags) / len(flags), 4) if flags else None


def measured(setup: Setup) -> Figures:
    """Both sizes, on one pack that is opened once."""
    rows = valid_rows(setup.recipe, setup.data, setup.rows)
    with opened(setup) as assistant:
        return {str(size): _measured(setup, assistant, rows, size) for size in SIZES}


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    rows = [
        [
            *(size, joint, str(of["messages"][joint]), percent(of["answered"][joint][ALONE])),
            *(percent(of["answered"][joint][way]) for way in WAYS),
            str(of["right_alone"][joint]),
            *(percent(of["all_of_those_right_alone"][joint][way]) for way in WAYS),
        ]
        for size, of in found["measured"].items()
        for joint in JOINTS
    ]
    header = ["tasks", "joined by", "messages", "each alone", *WAYS.values()]
    header += ["right alone", *(f"all: {name}" for name in WAYS.values())]
    return section(
        "## Several tasks in one message",
        "Messages made of valid rows of different adapters, as sentences (a full stop between), and as people "
        "write them (a line break, `and`). `fusion`: one mix of the whole message (top-p); `dispatch`: its most "
        "probable adapter alone (top1); `parts`: as the product answers. In percent of the tasks whose right "
        "answer is in the reply, as a line, a block or all of it; `each alone`: in the answer of its own adapter "
        "to the row alone, which is what can be had. `right alone`: messages whose rows are all right alone; `all: "
        "…`: of these, those with all answers in the reply, in percent.",
        table(header, rows),
        "**The paper beside ours.** Its adapters are fused per sentence, and it reports no top-1, so there is "
        "nothing to put beside dispatch and parts. Its composites are not made of these tasks, and its scores "
        "cannot be compared with these.",
    )


PART = Part("composites", ("rows",), {"measured": measured}, page)
