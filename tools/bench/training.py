"""What `adapters train` reaches: few rows of known tasks, the methods side by side, and speed against plain PEFT.

    python -m tools.bench.training fifty --data DATA --out FILE.json [--draws 5] [--rows 50] [--tasks dates cron …]
    python -m tools.bench.training methods --data DATA --out FILE.json [--seeds 3] [--tasks …] [--methods …]
    python -m tools.bench.training speed --data DATA --out FILE.json [--rounds 5]

The backbone is that of the SmolLM2 pack. `fifty`: so many rows of a task, split as the product does it, and the share
of valid rows answered exactly right by base, by base after five of the rows as turns before (5-shot), and by the
adapter. `methods`: the same with equal steps and about equal numbers in the file. Each figure is kept as it comes, and
a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dlp_local import Assistant, Mix, open_assistant
from dlp_local.core.files import written_aside
from dlp_local.core.job import Cancellation, returned
from dlp_local.core.settings import Settings
from dlp_local.core.values import AdapterFile, Message
from dlp_local.packs.pack import Pack, open_pack
from dlp_local.training.adapter import judging
from dlp_local.training.adapter.backbone import Backbone, best_device
from dlp_local.training.adapter.batches import Feed
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.encoding import RowEncoder, open_row_encoder
from dlp_local.training.adapter.export import read_adapter, write_adapter
from dlp_local.training.adapter.fit import Fit, Fitted
from dlp_local.training.adapter.methods import make_method
from dlp_local.training.adapter.methods.ca import Teacher
from dlp_local.training.adapter.methods.lora import Lora
from dlp_local.training.adapter.rows import TrainingRow, split_rows
from tools.bench.plain_training import plain_epoch
from tools.data import Row
from tools.recipes import RECIPES
from tools.scores import EXACT, SCORES

TASKS = ("dates", "cron", "actions", "extract", "sql")
RECIPE = RECIPES["smollm2"]
SHOTS = 5
TRIAL = "trial"
METHODS: Mapping[str, Mapping[str, Any]] = {
    "lora": {},
    "rslora": {},
    "lora+": {"rate": 5e-4},
    "cola": {"rank": 2, "links": 4},
    "xgb": {"booster_layers": 0.5},
    "multilora": {"links": 2},
    "share": {"rank": 13},
    "rite": {"method": "lora", "optimizer": "rite", "rate": 1e-3},
}
"""Name → what it is chosen with, beside rank 8; a booster lasts a sixteenth of the steps, for as many ranks in all."""


class Bench:
    """A backbone in torch, the same one in the product, and the rows of the tasks."""

    def __init__(self, data: Path, out: Path, valid: int) -> None:
        self.data, self.out, self.valid = data, out, valid
        self.figures: list[dict[str, Any]] = json.loads(out.read_text("utf-8")) if out.exists() else []
        folder = Path(__file__).parents[2] / "models" / "smollm2"
        self.pack: Pack = open_pack(folder)
        self.path = self.pack.backbone_path
        self.backbone = Backbone(self.path, best_device())
        self.assistant: Assistant = open_assistant(Settings.model_construct().for_comparison(), folder)

    def close(self) -> None:
        """Ends the engine."""
        self.assistant.close()

    def known(self, **about: Any) -> dict[str, Any] | None:
        """A figure that was measured before."""
        return next((one for one in self.figures if all(one.get(key) == value for key, value in about.items())), None)

    def keep(self, figure: dict[str, Any]) -> None:
        """Keeps a figure, and shows it."""
        self.figures.append(figure)
        with written_aside(self.out) as part:
            part.write_text(json.dumps(self.figures, indent=1) + "\n", "utf-8")
        print(json.dumps(figure), flush=True)

    def train_rows(self, task: str, count: int, seed: int) -> list[TrainingRow]:
        """Rows of a task as its adapter was trained on."""
        rows = islice(RECIPE.adapter_set.rows(self.data, task, seed), count)
        return [TrainingRow((Message("user", row.message),), row.answer) for row in rows]

    def score(self, task: str, mix: Mix, shots: Sequence[TrainingRow] = (), most: int = 0) -> float:
        """The share of valid rows, in percent, that are answered exactly right."""
        from tools.pack_figures import sample

        wanted: Mapping[str, Sequence[Row]] = sample(RECIPE.valid_rows(self.data, task), self.valid)
        turns = [message for shot in shots for message in (*shot.messages, Message("assistant", shot.answer))]
        rows = [TrainingRow((*turns, Message("user", message)), "") for message in wanted]
        longest = max(len(row.answer) for rows_of in wanted.values() for row in rows_of)
        given = judging.answers(self.assistant, rows, mix, longest // 2 + 16, Cancellation())
        metric = next(iter(SCORES.get(task, EXACT).values()))
        return metric(given, list(wanted.values()))

    def steps(self, rows: Sequence[TrainingRow], choices: Choices) -> int:
        """The steps that a training of rows takes."""
        with open_row_encoder(self.path, "", choices.scope, "") as encoder:
            train, _ = encoder.encode_all(split_rows(rows).train, choices.seed)
        choices = choices.for_rows(len(train))
        return choices.epochs * Feed([train], choices.batch_tokens, choices.seed).batches_an_epoch

    def fit(self, rows: Sequence[TrainingRow], choices: Choices, out: Path, kind: type[Fit] = Fit) -> Fitted:
        """Trains an adapter as the product does, and writes it."""
        with open_row_encoder(self.path, "", choices.scope, "") as encoder, TemporaryDirectory() as folder:
            fitted, method = run_fit(self.backbone, encoder, rows, choices, Path(folder), kind)
            write_adapter(method, 0, self.path, out, invocation=encoder.invocation)
        return fitted


class WholeFit(Fit):
    """A training that makes all its steps, whatever held-out rows say; the best weights are kept all the same."""

    _has_stalled = False


def run_fit(
    backbone: Backbone,
    encoder: RowEncoder,
    rows: Sequence[TrainingRow],
    choices: Choices,
    folder: Path,
    kind: type[Fit] = Fit,
    teacher: Teacher | None = None,
) -> tuple[Fitted, Any]:
    """A whole training, and its method."""
    split = split_rows(rows)
    train, _ = encoder.encode_all(split.train, choices.seed)
    choices = choices.for_rows(len(train))
    method = make_method(choices, backbone.weights, ("trial",), backbone.device)
    if choices.start and isinstance(method, Lora):
        method.start_from(read_adapter(choices.start, backbone.path))
    held_out = [encoder.encode(row) for row in split.held_out]
    return returned(kind(backbone, method, [train], [held_out], choices, folder, teacher).run(Cancellation())), method


def fifty(bench: Bench, tasks: Sequence[str], draws: int, count: int, choices: Choices) -> None:
    """Few rows of each task, several draws: base, 5-shot, and the adapter."""
    for draw in range(draws):
        for task in tasks:
            about = {"task": task, "draw": draw, "rows": count, "choices": choices.as_dict()}
            if bench.known(**about):
                continue
            rows = bench.train_rows(task, count, 1000 + draw)
            base = bench.known(task=task, valid=bench.valid) or {}
            with TemporaryDirectory() as folder:
                began = time.monotonic()
                fitted = bench.fit(rows, replace(choices, seed=draw), Path(folder) / "trial.gguf")
                seconds = time.monotonic() - began
                bench.assistant.try_adapter(AdapterFile(TRIAL, Path(folder) / "trial.gguf"))
                score = bench.score(task, Mix.of({TRIAL: 1.0}))
            bench.keep(
                about
                | {
                    "valid": bench.valid,
                    "base": base["base"] if base else bench.score(task, Mix()),
                    "shots": bench.score(task, Mix(), rows[:SHOTS]),
                    "adapter": score,
                    "seconds": seconds,
                    "losses": fitted.held_out_losses,
                    "ended": fitted.ended,
                    "tokens_per_second": fitted.tokens_per_second,
                }
            )


def methods(bench: Bench, tasks: Sequence[str], names: Sequence[str], seeds: int, count: int, epochs: int) -> None:
    """The methods at equal steps and about equal numbers in the file."""
    for seed in range(seeds):
        for task in tasks:
            rows = bench.train_rows(task, count, 2000 + seed)
            for name in names:
                about = {"method": name, "task": task, "seed": seed, "rows": count, "epochs": epochs}
                if bench.known(**about):
                    continue
                choices = Choices(**{"method": name} | dict(METHODS[name]) | {"seed": seed, "epochs": epochs})
                if name == "xgb":
                    steps = bench.steps(rows, choices)
                    choices = replace(choices, booster_steps=max(1, steps // 16))
                with TemporaryDirectory() as folder:
                    fitted = bench.fit(rows, choices, Path(folder) / "trial.gguf", WholeFit)
                    bench.assistant.try_adapter(AdapterFile(TRIAL, Path(folder) / "trial.gguf"))
                    score = bench.score(task, Mix.of({TRIAL: 1.0}))
                loss = min(fitted.held_out_losses)
                bench.keep(about | {"valid": bench.valid, "adapter": score, "loss": loss, "steps": fitted.steps})


def speed(bench: Bench, rounds: int, count: int) -> None:
    """An epoch against transformers and PEFT as their documentation has it, in turns, with as many rows a step."""
    rows = [row for task in ("actions", "dates") for row in bench.train_rows(task, count // 2, 7)]
    with open_row_encoder(bench.path, "", "turn", "") as encoder, TemporaryDirectory() as folder:
        whole = [encoder.encode(row) for row in rows]
        choices = Choices(epochs=1).for_rows(len(rows))
        steps = Feed([whole], choices.batch_tokens, choices.seed).batches_an_epoch
        plain = plain_epoch(
            bench.backbone.path,
            [one.prefix + one.tokens for one in whole],
            [len(one.prefix) + one.answer_at for one in whole],
            round(len(whole) / steps),
        )
        method = make_method(choices, bench.backbone.weights, ("trial",), bench.backbone.device)
        for number in range(rounds):
            fit = Fit(bench.backbone, method, [whole], [whole[:1]], choices, Path(folder) / str(number))
            began = time.monotonic()
            for _ in fit.run(Cancellation()):
                pass
            ours = time.monotonic() - began
            began = time.monotonic()
            plain()
            theirs = time.monotonic() - began
            tokens = sum(len(one.prefix) + len(one.tokens) for one in whole)
            bench.keep(
                {"round": number, "rows": len(whole), "steps": steps, "tokens": tokens, "ours": ours, "plain": theirs}
                | {"ratio": theirs / ours}
            )


def summary(figures: Sequence[dict[str, Any]], keys: Sequence[str], values: Sequence[str]) -> Iterator[str]:
    """A line of Markdown for each group of figures: the mean of each value, with its smallest and largest."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for figure in figures:
        groups.setdefault(tuple(figure[key] for key in keys), []).append(figure)
    yield f"| {' | '.join((*keys, *values))} |"
    yield "|" + "---|" * (len(keys) + len(values))
    for name, group in groups.items():
        cells = []
        for value in values:
            of = [one[value] for one in group]
            cells.append(f"{statistics.mean(of):.1f} ({min(of):.1f}-{max(of):.1f})")
        yield f"| {' | '.join((*map(str, name), *cells))} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fifty", "methods", "speed"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--valid", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--rate", type=float, default=Choices().rate)
    args = parser.parse_args()
    bench = Bench(args.data, args.out, args.valid)
    try:
        if args.what == "fifty":
            fifty(bench, args.tasks, args.draws, args.rows, Choices(rate=args.rate, epochs=args.epochs))
            print("\n".join(summary(bench.figures, ("task",), ("base", "shots", "adapter"))))
        elif args.what == "methods":
            methods(bench, args.tasks, args.methods, args.seeds, args.rows, args.epochs or 6)
            print("\n".join(summary(bench.figures, ("method", "task"), ("adapter", "loss"))))
        else:
            speed(bench, args.rounds, args.rows)
            print("\n".join(summary(bench.figures, (), ("ratio",))))
    finally:
        bench.close()


if __name__ == "__main__":
    main()
