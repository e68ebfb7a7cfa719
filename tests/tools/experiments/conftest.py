"""The bundled pack with a few rows of its own, in place of the SmolLM2 pack and the data sets."""

import gzip
import json
from dataclasses import replace
from itertools import cycle

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("sklearn", reason="needs scikit-learn (the bench extra)")

from dlp_local.core.values import BASE
from dlp_local.training.router.fit import Shape
from tests.evaluation.example_rows import TASKS
from tools.data import Row
from tools.experiments.part import Setup
from tools.recipes import RECIPES
from tools.router_corpus import Corpus

NOBODYS = ("good night", "who are you?", "tell me a story", "thank you so much")
ROWS = {
    task: [Row(text, answer if isinstance(answer, str) else json.dumps(answer)) for text, answer in rows.items()]
    for task, (rows, _) in TASKS.items()
}


def messages(task, half):
    """The even messages of a task are to train on, the odd ones are valid."""
    return [row.message for row in ROWS[task]][half::2]


CORPUS = Corpus(
    tasks=tuple(TASKS),
    training=lambda data, rng: (
        [(text, task) for task in TASKS for text in messages(task, 0)] + [(text, BASE) for text in NOBODYS[:2]]
    ),
    valid=lambda data: {task: messages(task, 1) for task in TASKS} | {"talk": list(NOBODYS[2:])},
    follow_ups={},
    any_follow_ups=(),
    new_follow_ups={},
    shape=Shape(members=1, hidden=16, anchors=4),
    labels={"talk": BASE},
)


def write_data(folder, name, rows):
    """A data set of rows whose prompts tell which half they are of."""
    (folder / name).mkdir(parents=True)
    for half in ("train", "valid"):
        with gzip.open(folder / name / f"{half}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row | {"prompt": f"{half} {row['prompt']}"}) + "\n" for row in rows)


@pytest.fixture
def setup(bundled, tmp_path) -> Setup:
    recipe = RECIPES["bundled"]
    recipe = replace(
        recipe,
        corpus=CORPUS,
        valid_rows=lambda data, kind: ROWS[kind],
        adapter_set=replace(recipe.adapter_set, rows=lambda data, task, seed: cycle(ROWS[task])),
    )
    return Setup(recipe, bundled, tmp_path / "data", tmp_path / "build", rows=1, per_class=4, threads=1)
