"""The paper's own experiment at our scale: a LoRA for each task of BIG-Bench Hard, a router, and the policies compared.

An epoch of all 27 tasks has 367,000 tokens (a fifth of each task's rows is held out), and the preset for so many rows
is six of them: 2.2 million tokens a seed for the tasks' LoRAs, and as many for the large one. On two cores, where 150
(short rows) to 230 tokens of SmolLM2-135M are trained on in a second, that is 3 to 4 hours each, 6 to 8 a seed, less
where held-out rows no longer gain; three seeds are a day. Then come the answers: the choices of a row are scored one by
one, 20,000 replies and three to four hours for each seed with 40 rows a task. A GPU is used where there is one.
`--tasks-of-bbh 2 --rows-of-bbh 10 --epochs-of-bbh 1 --seeds 1 --rows 2` shows in a few minutes that all of it works.

Everything that was trained and answered is kept in the build folder, and a run that was cut goes on.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlp_local import Assistant
from dlp_local.evaluation.metrics.choices import CHOICE, LIKELIHOOD
from dlp_local.evaluation.metrics.words import EXACT
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.runner import Measured
from dlp_local.evaluation.shots import Shots
from tools.adapter_runs import Run
from tools.experiments.answered import answer_all, opened
from tools.experiments.bbh_composites import SIZES, answered, composites
from tools.experiments.bbh_pack import judged_alone, made_pack, routed_right, train_router
from tools.experiments.bbh_page import page
from tools.experiments.bbh_rows import BbhTask, read_tasks
from tools.experiments.bbh_training import LARGE, Trainer
from tools.experiments.part import Figures, Part, Setup

POLICIES = (
    "base", "few-shot:3", "oracle", "top1", "top-p", "top-p:0.9:softmax", "uniform", f"single:{LARGE}",
)  # fmt: skip
METRICS = (EXACT.name, CHOICE.name, LIKELIHOOD.name)

WAYS = ("base", "top1", "top-p", "parts", f"single:{LARGE}")
"""How messages of several tasks are answered."""

ALONE = "oracle"
"""And their rows, each alone."""


def training(setup: Setup) -> Figures:
    """The figures of each run of each seed."""
    trainer = Trainer(setup)
    return {str(seed): [run.figures for run in _runs(trainer, setup, seed)] for seed in range(setup.seeds)}


def router(setup: Setup) -> Figures:
    """The routers of each seed on all valid rows: through the product, and of the tasks alone, as the paper has it."""
    found: Figures = {}
    for seed in range(setup.seeds):
        tasks = read_tasks(setup, seed)
        with_base, alone = (train_router(setup, tasks, seed, with_base=flag) for flag in (True, False))
        with made_pack(setup, _folders(Trainer(setup), setup, seed), with_base) as pack:
            through = routed_right(setup, tasks, pack)
        found[str(seed)] = through | {
            "training_rows": sum(len(task.train) for task in tasks),
            "with_base": judged_alone(setup, tasks, with_base),
            "tasks_alone": judged_alone(setup, tasks, alone),
        }
    return found


def policies(setup: Setup) -> Figures:
    """Every policy on the same valid rows, for each seed."""
    found: Figures = {"tasks": _about(read_tasks(setup, 0)), "seeds": {}}
    trainer = Trainer(setup)
    for seed in range(setup.seeds):
        tasks = read_tasks(setup, seed)
        with _opened(trainer, setup, tasks, seed) as (of_pack, assistant):
            rows = [row for task in tasks for row in task.answered]
            shots = Shots([shot for task in tasks for shot in task.shots()])
            measured, report = answer_all(of_pack, assistant, rows, ",".join(POLICIES), shots, likelihood=True)
        found["seeds"][str(seed)] = {
            "policies": condensed(measured, report),
            "routing": {key: report["routing"][key] for key in ("accuracy", "calibration_error", "base_share")},
            "rows": report["rows"],
            "problems": len(report["problems"]),
        }
    return found


def several(setup: Setup) -> Figures:
    """Messages of two and three tasks, for each seed."""
    found: Figures = {}
    trainer = Trainer(setup)
    for seed in range(setup.seeds):
        tasks = read_tasks(setup, seed)
        with _opened(trainer, setup, tasks, seed) as (of_pack, assistant):
            found[str(seed)] = {
                str(size): _of_size(of_pack, assistant, tasks, size) for size in SIZES if size <= len(tasks)
            }
    return found


def _of_size(setup: Setup, assistant: Assistant, tasks: Sequence[BbhTask], size: int) -> Figures:
    """The share of the questions that are answered in the reply, and of the messages with all of them, by each way."""
    made = {one.text: one for one in composites(tasks, setup.rows, size)}
    whole = [EvalRow(text, (text,), "exact", line=number) for number, text in enumerate(made)]
    alone = list({row.identity: row for one in made.values() for row in one.rows}.values())
    of_whole, _ = answer_all(setup, assistant, whole, ",".join(WAYS))
    of_alone, _ = answer_all(setup, assistant, alone, ALONE)
    known = {outcome.row.identity: outcome.value == 1 for outcome in of_alone.outcomes}
    hits = defaultdict[str, list[int]](list)
    for outcome in of_whole.outcomes:
        hits[outcome.policy].append(answered(outcome.answer, made[outcome.row.text].rows))
    hits[ALONE] = [sum(known.get(row.identity, False) for row in one.rows) for one in made.values()]
    return {
        "messages": len(made),
        "answered": {way: round(statistics.mean(counts) / size, 4) for way, counts in hits.items()},
        "all": {way: round(statistics.mean(count == size for count in counts), 4) for way, counts in hits.items()},
    }


def condensed(measured: Measured, report: dict[str, Any]) -> Figures:
    """Of each policy and metric the mean of the tasks with its interval, and each task's score."""
    found: Figures = {}
    for policy, entry in report["policies"].items():
        of_tasks = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
        for outcome in measured.outcomes:
            if outcome.policy == policy:
                for name in METRICS:
                    if name in outcome.measures:
                        of_tasks[name][outcome.row.task].append(outcome.measures[name][0])
        found[policy] = {
            name: entry["metrics"][name]
            | {"tasks": {task: round(statistics.mean(scores), 4) for task, scores in of_tasks[name].items()}}
            for name in METRICS
            if name in entry["metrics"]
        }
    return found


def _about(tasks: Sequence[BbhTask]) -> Figures:
    return {
        task.name: {
            "training_rows": len(task.train),
            "rows": len(task.answered),
            "left_out": task.left_out,
            "lettered": task.is_lettered,
            "choices": round(statistics.mean(len(row.choices) for row in task.answered), 1),
        }
        for task in tasks
    }


def _runs(trainer: Trainer, setup: Setup, seed: int) -> list[Run]:
    return trainer.of_tasks(read_tasks(setup, seed), seed)


def _folders(trainer: Trainer, setup: Setup, seed: int) -> dict[str, Path]:
    """The PEFT folder of every adapter of a seed, trained where it is not there."""
    return {name: folder for run in _runs(trainer, setup, seed) for name, folder in run.folders.items()}


@contextmanager
def _opened(trainer: Trainer, setup: Setup, tasks: Sequence[BbhTask], seed: int) -> Iterator[tuple[Setup, Assistant]]:
    """A seed's adapters and router as a pack that is open, and the setup of that pack."""
    folders = _folders(trainer, setup, seed)
    with made_pack(setup, folders, train_router(setup, tasks, seed)) as pack:
        of_pack = replace(setup, pack=pack)
        with opened(of_pack) as assistant:
            yield of_pack, assistant


PART = Part(
    "bbh",
    ("rows", "seeds", "bbh_tasks", "bbh_rows", "bbh_epochs"),
    {"training": training, "router": router, "policies": policies, "composites": several},
    page,
)
