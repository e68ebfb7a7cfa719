"""What an adapter that is trained on this machine takes from the pack's others, and whether its own messages reach it.

    python -m tools.bench.training_routing --data DATA --out FILE.json [--rows 50] [--valid 200] [--seeds 1]

Nothing is trained: routing learns a new adapter from the messages of its rows alone. New to the SmolLM2 pack are, one
at a time, each of its own tasks, with its adapter taken out, the subtasks of BIG-Bench Hard and every tenth intent of
CLINC150. From so many rows the product learns its routing; then up to 200 valid messages of each of the pack's other
tasks are routed without the new adapter and with it. `lost` are the points of the task that loses most, `own` is the
share of the new task's own valid messages that come to it, and `why` is what the product refuses its routing for.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dlp_local.core.files import written_aside
from dlp_local.core.values import Message
from dlp_local.pack_router import pack_router
from dlp_local.packs.pack import Pack, open_pack
from dlp_local.routing import MessageRouter
from dlp_local.training.adapter.acceptance import against_routing
from dlp_local.training.adapter.routing_effect import LearntRouting, RoutingJudge
from dlp_local.training.adapter.rows import TrainingRow, split_rows
from tools.data import read_jsonl
from tools.pack_figures import sample
from tools.recipes import RECIPES

RECIPE = RECIPES["smollm2"]
NEW = "new-adapter"
EVERY = 10
"""Of CLINC150's intents, in the order of their names, each so many-th is one of the new tasks."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task that the pack gets, with messages to train on and to judge by; `replaces`: the pack's own of that kind."""

    name: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    replaces: str = ""


def new_tasks(data: Path, tasks: Sequence[str], rows: int, most: int, seed: int) -> Iterator[NewTask]:
    """The pack's own tasks, and those of other data sets."""
    for task in tasks:
        drawn = islice(RECIPE.adapter_set.rows(data, task, seed), rows)
        yield NewTask(task, tuple(row.message for row in drawn), valid_messages(data, task, most), task)
    for name, key in (("intents", "answer"), ("bbh", "subtask")):
        of = {split: read_jsonl(data / name / f"{split}.jsonl.gz") for split in ("train", "valid")}
        kinds = sorted({row[key] for row in of["train"]} - {"oos"})
        for kind in kinds if name == "bbh" else kinds[seed % EVERY :: EVERY]:
            train, valid = ([row["prompt"] for row in of[split] if row[key] == kind] for split in ("train", "valid"))
            order = np.random.default_rng(seed).permutation(len(train))[:rows]
            yield NewTask(f"{name}: {kind}", tuple(train[index] for index in order), tuple(valid[:most]))


def valid_messages(data: Path, task: str, most: int) -> tuple[str, ...]:
    """Up to so many valid messages of a task of the pack, the same each time."""
    return tuple(sample(RECIPE.valid_rows(data, task), most))


class Bench:
    """The pack, and the valid messages of its tasks."""

    def __init__(self, data: Path, most: int) -> None:
        self.pack = open_pack(Path(__file__).parents[2] / "models" / "smollm2")
        self.tasks = tuple(sorted(self.pack.manifest.adapters))
        self.valid = {task: valid_messages(data, task, most) for task in self.tasks}

    def measure(self, new: NewTask) -> dict[str, Any]:
        """The figures of one new task."""
        pack = self._without(new.replaces)
        split = split_rows([TrainingRow((Message("user", text),), "") for text in dict.fromkeys(new.train)])
        prompts, held_out = ([row.prompt for row in rows] for rows in (split.train, split.held_out))
        learnt = RoutingJudge(pack, [NEW]).learn({NEW: prompts}, {NEW: held_out})[NEW]
        with TemporaryDirectory() as folder:
            before, after = self._router(pack, None, Path(folder)), self._router(pack, learnt, Path(folder))
        lost = {}
        for task in pack.manifest.adapters:
            shares = [share(router, self.valid[task], task) for router in (before, after)]
            lost[task] = 100 * (shares[0] - shares[1])
        return {
            "task": new.name,
            "examples": len(learnt.examples),
            "lost": max(lost.values()),
            "by": max(lost, key=lost.__getitem__),
            "mean_lost": sum(lost.values()) / len(lost),
            "own": 100 * share(after, new.valid, NEW),
            "why": "; ".join(against_routing(learnt.effect)),
        }

    def _without(self, task: str) -> Pack:
        manifest = self.pack.manifest
        left = {name: adapter for name, adapter in manifest.adapters.items() if name != task}
        return Pack(self.pack.folder, manifest.model_copy(update={"adapters": left}))

    @staticmethod
    def _router(pack: Pack, learnt: LearntRouting | None, folder: Path) -> MessageRouter:
        detectors = {}
        if learnt and learnt.detector:
            detectors[NEW] = folder / "detector.onnx"
            learnt.detector.write(detectors[NEW], "", is_small=True)
        adapters = {name: list(pack.examples(name)) for name in pack.manifest.enabled}
        return pack_router(
            pack,
            2,
            adapters | ({NEW: list(learnt.examples)} if learnt else {}),
            router=pack.router_path,
            detectors=detectors,
        )


def share(router: MessageRouter, messages: Sequence[str], owner: str) -> float:
    """The share of messages whose most probable adapter is `owner`."""
    if owner not in router.labels:
        return 0.0
    best = router.probabilities(router.example_embeddings(messages)).argmax(axis=1)
    return float((best == router.labels.index(owner)).mean())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--valid", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    bench = Bench(args.data, args.valid)
    figures = []
    print("| new | examples | lost | by | own | refused for |\n|---|---|---|---|---|---|")
    for seed in range(args.seeds):
        for new in new_tasks(args.data, bench.tasks, args.rows, args.valid, 3000 + seed):
            figure = bench.measure(new) | {"seed": seed}
            figures.append(figure)
            print("| {task} | {examples} | {lost:.1f} | {by} | {own:.1f} | {why} |".format(**figure), flush=True)
            with written_aside(args.out) as part:
                part.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    placed = [figure for figure in figures if not figure["why"]]
    for name, group in (("all", figures), ("those whose routing is accepted", placed)):
        print(
            f"{name}: {len(group)}; lost at most {max(one['lost'] for one in group):.1f} points, own at least "
            f"{min(one['own'] for one in group):.1f} %, {np.mean([one['own'] for one in group]):.1f} % in the mean"
        )


if __name__ == "__main__":
    main()
