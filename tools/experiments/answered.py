"""A pack's rows, answered under policies as `dlp-local eval` does it, in this process."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from dlp_local import Assistant, open_assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.settings import Engine, Settings
from dlp_local.evaluation.answers import Answers
from dlp_local.evaluation.policies import parse_policies
from dlp_local.evaluation.report import Setting, build_report
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.runner import Measured, Plan, evaluate
from dlp_local.evaluation.shots import NO_SHOTS, Shots
from dlp_local.packs.manifest import read_manifest
from tools.booking_rows import is_booking
from tools.data import Row
from tools.experiments.data_folder import own_data
from tools.experiments.part import Setup
from tools.pack_figures import sample
from tools.recipes.recipe import Recipe

OPTIONS = ChatOptions(temperature=0, repeat_penalty=1, max_tokens=128)
"""Greedy. The right answers are shorter; a wrong one that goes on and on costs no more than this."""

METRICS = {
    "actions": "object", "extract": "object", "json": "object", "sql": "sql", "describe": "bleu", "shell": "command",
    "bash": "command",
}  # fmt: skip
"""What each kind of rows is scored by, but for exact answers."""

SHOTS_OF_A_TASK = 50

PATIENCE = 3600.0
"""Seconds without a sign of life of the engine: other programs may have the machine for a while."""


def valid_rows(recipe: Recipe, data: Path, most: int) -> dict[str, list[list[Row]]]:
    """Kind → its valid rows by message, `most` of an adapter at most; those of `extract` that are about a booking."""
    shares, found = Counter(recipe.kinds.values()), {}
    for kind, adapter in recipe.kinds.items():
        rows = [row for row in recipe.valid_rows(data, kind) if kind != "extract" or is_booking(row)]
        found[kind] = list(sample(rows, max(1, most // shares[adapter])).values())
    return found


def eval_rows(recipe: Recipe, rows: dict[str, list[list[Row]]]) -> tuple[EvalRow, ...]:
    """Rows as `dlp-local eval` has them; any answer to the same message is right."""
    return tuple(as_eval_row(recipe, kind, same) for kind, of_kind in rows.items() for same in of_kind)


def as_eval_row(recipe: Recipe, kind: str, same: Sequence[Row]) -> EvalRow:
    """The rows of one message as one."""
    answers = tuple(dict.fromkeys(row.answer for row in same))
    return EvalRow(same[0].message, answers, METRICS.get(kind, "exact"), recipe.kinds[kind])


def shots(recipe: Recipe, data: Path) -> Shots:
    """Training rows of each task, to stand before a message as examples."""
    adapters = sorted(set(recipe.kinds.values()))
    return Shots([as_eval_row(recipe, task, [row]) for task in adapters for row in training_rows(recipe, data, task)])


def training_rows(recipe: Recipe, data: Path, task: str, seed: int = 0) -> list[Row]:
    """Rows that an adapter is trained on, of different messages: `SHOTS_OF_A_TASK`, or as many as there are."""
    rows = islice(recipe.adapter_set.rows(data, task, seed), 4 * SHOTS_OF_A_TASK)
    by_message = {row.message: row for row in rows if task != "extract" or is_booking(row)}
    return list(by_message.values())[:SHOTS_OF_A_TASK]


@contextmanager
def opened(setup: Setup) -> Iterator[Assistant]:
    """The pack, whose engine computes many answers at once, without this machine's settings and corrections."""
    engine = Engine(threads=setup.threads, response_timeout=PATIENCE)
    settings = Settings.model_construct(engine=engine).for_comparison()
    with own_data(setup.build / "data"), open_assistant(settings, setup.pack) as assistant:
        yield assistant


def answer_all(
    setup: Setup,
    assistant: Assistant,
    rows: Sequence[EvalRow],
    policies: str,
    examples: Shots = NO_SHOTS,
    *,
    likelihood: bool = False,
) -> tuple[Measured, dict[str, Any]]:
    """What the policies' answers measure, and the report; answers are kept in the build folder.

    With `likelihood` the choices of rows that have some are scored by it, too.
    """
    plan = Plan(
        tuple(rows),
        parse_policies(policies, assistant.adapters, assistant.settings.routing),
        OPTIONS,
        shots=examples,
        likelihood=likelihood,
    )
    answers = Answers(assistant, read_manifest(setup.pack), setup.build / "answers.jsonl", {})
    measured = Measured()
    for event in evaluate(assistant, plan, answers):
        if isinstance(event, Measured):
            measured = event
        elif event.done % 50 == 0 or event.done == event.of:
            print(f"  {event.stage} {event.done} of {event.of}", file=sys.stderr, flush=True)
    return measured, build_report(measured, plan, Setting(assistant.name, assistant.concurrent_replies))
