"""What a router that `router train` makes of few rows does with messages that belong to no adapter."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from dlp_local.core.files import temporary_folder
from dlp_local.core.values import BASE
from dlp_local.routing.router import Router
from dlp_local.training.router.train import FILE_NAME, train_file
from tools.data import read_jsonl
from tools.experiments.answered import training_rows, valid_rows
from tools.experiments.markdown import percent, section, table
from tools.experiments.new_adapters import Embed
from tools.experiments.nobodys import EVERYDAY
from tools.experiments.part import Figures, Part, Setup, summarized
from tools.experiments.router import embeddings

DRAWS, LONG_DRAWS = 8, 2
LABELS, ROWS = (2, 3), (10, 20, 30)
"""What a draw has: so many tasks, so many rows of each."""

LONG_TASKS, LONG_ROWS = 10, 100
GREETINGS = 30

DOMAINS = ("travel", "work", "home", "auto_and_commute", "credit_cards", "banking")
"""Of `intents`; none whose messages are everyday ones."""

Messages = Mapping[str, Sequence[str]]
"""Label → its messages."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Messages to train on, those of `base` among them where there are any, and valid ones of the same labels."""

    train: Messages
    valid: Messages


def tasks(setup: Setup, rng: random.Random) -> Draw:
    """Rows of a few of the pack's tasks."""
    chosen, count = rng.sample(setup.recipe.corpus.tasks, rng.choice(LABELS)), rng.choice(ROWS)
    seed = rng.randrange(1000)
    train = {task: training_rows(setup.recipe, setup.data, task, seed)[:count] for task in chosen}
    valid = valid_rows(setup.recipe, setup.data, setup.per_class)
    return Draw(
        {task: [row.message for row in rows] for task, rows in train.items()},
        {task: [same[0].message for same in valid[task]] for task in chosen},
    )


def tasks_and_greetings(setup: Setup, rng: random.Random) -> Draw:
    """The same, and rows of `base` that are all of one kind."""
    draw = tasks(setup, rng)
    greetings = _by(setup.data, "intents", "train", "answer")["greeting"][:GREETINGS]
    return Draw({**draw.train, BASE: greetings}, draw.valid)


def domains(setup: Setup, rng: random.Random) -> Draw:
    """Rows of a few domains of `intents`, of 15 intents each: rows that are little alike."""
    train, valid = (_by(setup.data, "intents", split, "domain") for split in ("train", "valid"))
    chosen, count = rng.sample(DOMAINS, rng.choice(LABELS)), rng.choice(ROWS)
    return Draw(
        {domain: rng.sample(train[domain], count) for domain in chosen},
        {domain: valid[domain][: setup.per_class] for domain in chosen},
    )


def long_tasks(setup: Setup, rng: random.Random) -> Draw:
    """Rows of ten tasks of `bbh`, whose messages are long."""
    train, valid = (_by(setup.data, "bbh", split, "subtask") for split in ("train", "valid"))
    chosen = rng.sample(sorted(train), LONG_TASKS)
    return Draw({task: train[task][:LONG_ROWS] for task in chosen}, {task: valid[task] for task in chosen})


def _by(data: Path, name: str, split: str, field: str) -> dict[str, list[str]]:
    """The messages of a data set, by what its rows have in a field."""
    messages = defaultdict[str, list[str]](list)
    for row in read_jsonl(data / name / f"{split}.jsonl.gz"):
        messages[row[field]].append(row["prompt"])
    return messages


def judged(setup: Setup, draw: Draw, embed: Embed) -> dict[str, float]:
    """Trains as the command does; what goes to an adapter and should not, and to `base` and should not.

    `told` is what the command itself tells of its held-out rows, and of the background messages.
    """
    lines = [json.dumps({"text": text, "adapter": label}) for label, texts in draw.train.items() for text in texts]
    with temporary_folder() as folder:
        file = folder / "rows.jsonl"
        file.write_text("\n".join(lines) + "\n", "utf-8")
        report = train_file(setup.pack, [file], folder, progress=lambda *_: None)
        router = Router(folder / FILE_NAME, threads=1)
        names = np.array(router.labels)
        routed = {
            label: names[router.probabilities(embed(texts)).argmax(axis=1)]
            for label, texts in {**draw.valid, BASE: EVERYDAY}.items()
        }
    everyday = routed.pop(BASE)
    found = {
        "everyday_to_an_adapter": float((everyday != BASE).sum()),
        "valid_to_base": float(np.mean([(labels == BASE).mean() for labels in routed.values()])),
        "accuracy": float(np.mean([(labels == label).mean() for label, labels in routed.items()])),
    }
    if report.after:
        found["told_to_base"] = report.after.base_share
        found["told_background_to_an_adapter"] = report.after.background_share or 0.0
    return found


def measured(draw: Callable[[Setup, random.Random], Draw], count: int) -> Callable[[Setup], Figures]:
    """The step of a kind of draws: mean and worst of each figure."""

    def step(setup: Setup) -> Figures:
        embed = embeddings(setup).of
        return summary([judged(setup, draw(setup, random.Random(seed)), embed) for seed in range(count)])

    return step


def summary(draws: Sequence[Mapping[str, float]]) -> Figures:
    """How many draws there are; mean and worst of each figure, which is the least of accuracies."""
    of_each = summarized(draws, lambda name: {"mean": mean, "worst": min if name == "accuracy" else max})
    return {"draws": len(draws)} | of_each


TITLES = {
    "tasks": "2 or 3 of the pack's tasks",
    "greetings": f"the same, {GREETINGS} greetings as base",
    "domains": "2 or 3 domains of CLINC150",
    "long": f"{LONG_TASKS} tasks of BIG-Bench Hard",
}


def _row(name: str, of: Figures) -> list[str]:
    everyday = of["everyday_to_an_adapter"]
    shares = (of.get(key) for key in ("accuracy", "valid_to_base", "told_to_base", "told_background_to_an_adapter"))
    return [
        *(TITLES[name], str(of["draws"]), f"{everyday['mean']:.1f} ({everyday['worst']:.0f})"),
        *(f"{percent(share['mean'])} ({percent(share['worst'])})" if share else "-" for share in shares),
    ]


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    header = [
        *("trained on", "draws", f"of {len(EVERYDAY)} everyday messages to an adapter", "routed right, %"),
        *("valid rows to base, %", "told: rows to base, %", "told: background to an adapter, %"),
    ]
    rows = ", ".join(map(str, ROWS[:-1])) + f" or {ROWS[-1]}"
    return section(
        "## A router of few rows, and messages that are nobody's",
        f"`dlp-local router train --out` on {rows} rows of each label, drawn anew each time (of BIG-Bench Hard, "
        f"{LONG_ROWS} of each task), without rows of base but where it is said. Everyday messages (good night, a haiku "
        "about rain, what to do with leftover bread) are none that is trained on, and no task is for them; two ask "
        "for what everyday commands are near to, the weather and an alarm. Mean of the draws, the worst in brackets. "
        "`told`: what the command itself tells, of rows and background messages that it holds out.",
        table(header, (_row(name, of) for name, of in found.items())),
        "**The paper beside ours.** It has an adapter for every message and no base to leave one to: it has no figure "
        "for this.",
    )


PART = Part(
    "base-safety",
    ("per_class",),
    {
        "tasks": measured(tasks, DRAWS),
        "greetings": measured(tasks_and_greetings, DRAWS),
        "domains": measured(domains, DRAWS),
        "long": measured(long_tasks, LONG_DRAWS),
    },
    page,
)
