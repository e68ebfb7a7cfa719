"""The section of the page about BIG-Bench Hard, made of the figures of `tools.experiments.bbh`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dlp_local.core.text import counted
from dlp_local.training.adapter.choices import Choices
from tools.experiments.bbh_training import LARGE, RANK, TIMES
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures

NAMES = {
    "base": "base",
    "few-shot:3": "few-shot, 3 rows",
    "oracle": "single (oracle)",
    "top1": "top-1",
    "top-p": "top-p (DLP)",
    "top-p:0.9:softmax": "softmax of probabilities, as in the paper's code",
    "uniform": "uniform",
    f"single:{LARGE}": f"one LoRA of rank {TIMES * RANK} on all tasks",
    "parts": "parts",
}
SHORT = NAMES | {"top-p:0.9:softmax": "softmax", f"single:{LARGE}": "one large"}
"""Policies as the tables call them."""

PAPER_ROUTER = "98.45"

WHOLE_ROWS = 120
"""Of the 150 training rows of a task those that are not held out."""

WHOLE_EPOCHS = Choices(method="flora").for_rows(WHOLE_ROWS).epochs


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    blocks = [
        "## The paper's experiment at our scale: BIG-Bench Hard",
        f"A LoRA of rank {RANK} for each task, several in one run (FLoRA), each as `adapters train` fits them: a fifth "
        "of a task's training rows is held out to choose the epoch by. Beside them one LoRA of rank "
        f"{TIMES * RANK} on the rows of all tasks, each learnt from as often. The router is that of `router train` on "
        "the same rows. The pack of them is made as `pack create` and `adapters add` make one.",
    ]
    for name, make in (("policies", _policies), ("router", _router), ("composites", _composites), ("training", _runs)):
        if of := found.get(name):
            blocks += make(of)
    blocks.append(
        "**The paper beside ours.** It reports a router of 98.45 %, and a mean of 92.34 % for DLP over the 17 of its "
        "26 tasks that have choices. The router's figure can be put beside `the tasks alone`: a message's task among "
        "those that there are, of other tasks in part and with other rows. The accuracies cannot be compared: its "
        "backbones are far larger than this one of 0.135 billion parameters, only some of its tasks are among these, "
        "and its rows are others. What can be compared is the order of the policies within a table. The paper has no "
        "oracle, no top-1 and no uniform mix to put beside these columns."
    )
    return section(*blocks)


def over(values: Iterable[float | None], signed: bool = False) -> str:
    """The mean of the seeds' shares in percent, with the least and the greatest where there are several."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = percent(statistics.mean(known), signed)
    return mean if len(known) == 1 else f"{mean} ({percent(min(known), signed)}-{percent(max(known), signed)})"


def _policies(found: Figures) -> list[str]:
    seeds, tasks = list(found["seeds"].values()), found["tasks"]
    lettered = [task for task, of in tasks.items() if of["lettered"]]
    names = [name for name in NAMES if name in seeds[0]["policies"]]

    def metric(policy: str, name: str, value: Callable[[Any], float | None]) -> str:
        return over(value(seed["policies"][policy][name]) for seed in seeds if name in seed["policies"][policy])

    def of_oracle(policy: str) -> str:
        both = [
            (seed["policies"][policy]["exact"]["score"], seed["policies"]["oracle"]["exact"]["score"]) for seed in seeds
        ]
        return over(score / best if best else None for score, best in both)

    def bounds(policy: str) -> str:
        entries = [seed["policies"][policy]["exact"] for seed in seeds]
        low, high = (statistics.mean(entry[side] for entry in entries) for side in ("low", "high"))
        return f"{percent(low)}…{percent(high)}"

    rows = (
        [
            *(NAMES[name], metric(name, "exact", _score), bounds(name), of_oracle(name)),
            *(metric(name, "choice", _score), metric(name, "likelihood", _score)),
            *(metric(name, of, lambda entry: _mean_of(entry, lettered)) for of in ("exact", "likelihood")),
        ]
        for name in names
    )
    header = ["policy", "right, %", "95 % over rows", "of oracle, %", "names the right choice, %", "by likelihood, %"]
    header += [f"{counted(len(lettered), 'lettered task')}: right, %", "by likelihood, %"]
    of_choices = sum(of["choices"] > 0 for of in tasks.values())
    left_out = sum(of["left_out"] for of in tasks.values())
    told = (
        f"{counted(len(tasks), 'task')}, {_rows(found)} valid rows, {counted(len(seeds), 'seed')}: mean of the seeds, "
        "and the least and greatest where they are several. `right`: the answer that is generated (greedy) is the "
        "right one, exactly; the mean of the tasks. `95 % over rows`: bootstrap over the rows of each task, the mean "
        f"of the seeds' bounds. Choices, letters or two words, are in {of_choices} of them: `names the right choice` "
        "looks for the first choice that an answer names, and `by likelihood` takes the likeliest "
        "([docs/evaluation.md](evaluation.md#metrics))."
    )
    told += f" {counted(left_out, 'valid row')} whose answer is none of its choices left out." if left_out else ""
    return [
        told,
        table(header, rows),
        "### Each task: right answers, %",
        _of_tasks(seeds, tasks, names, "exact"),
        "### Each task with choices: by likelihood, %",
        _of_tasks(seeds, {task: of for task, of in tasks.items() if of["choices"]}, names, "likelihood"),
    ]


def _rows(found: Figures) -> int:
    return sum(of["rows"] for of in found["tasks"].values())


def _score(entry: Any) -> float | None:
    score: float = entry["score"]
    return score


def _mean_of(entry: Any, tasks: Sequence[str]) -> float | None:
    scores = [entry["tasks"][task] for task in tasks if task in entry["tasks"]]
    return statistics.mean(scores) if scores else None


def _of_tasks(seeds: Sequence[Figures], tasks: Mapping[str, Figures], names: Sequence[str], metric: str) -> str:
    rows = []
    for task, of in tasks.items():
        entries = [[seed["policies"][name].get(metric, {"tasks": {}}) for seed in seeds] for name in names]
        means = [[entry["tasks"][task] for entry in of_name if task in entry["tasks"]] for of_name in entries]
        cells = [percent(statistics.mean(values)) if values else "-" for values in means]
        rows.append([task.replace("_", " "), str(of["rows"]), f"{of['choices']:.0f}" if of["choices"] else "-", *cells])
    return table(["task", "rows", "choices", *(SHORT[name] for name in names)], rows)


def _router(found: Figures) -> list[str]:
    seeds = list(found.values())
    rows = [
        [
            label,
            over(seed[key]["accuracy"] for seed in seeds),
            over(seed[key]["calibration_error"] for seed in seeds),
            f"{seeds[0][key]['parameters']:,}",
        ]
        for key, label in (("tasks_alone", "the tasks alone"), ("with_base", "and `base`, no task of these"))
    ]
    rows.append(["and `base`, through the product", over(seed["accuracy"] for seed in seeds), "", ""])
    rows.append(["the paper, 26 tasks", PAPER_ROUTER, "", "≤ 5,000,000"])
    confused = ", ".join(f"{task} for {label} ({times})" for task, label, times in seeds[0]["confused"][:3])
    return [
        "### The router",
        f"{seeds[0]['training_rows']:,} training rows, {seeds[0]['rows']:,} valid rows, all that there are of these "
        "tasks." + (f" Taken for another most often: {confused}." if confused else ""),
        table(["router", "accuracy, %", "calibration error, %", "parameters"], rows),
    ]


def _composites(found: Figures) -> list[str]:
    sizes = list(next(iter(found.values())))
    if not sizes:
        return []
    ways = [name for name in NAMES if name in found["0"][sizes[0]]["answered"]]
    rows = []
    for size in sizes:
        of_seeds = [seed[size] for seed in found.values()]
        for key, label in (("answered", "questions"), ("all", "messages, all of it")):
            cells = [over(of[key][way] for of in of_seeds) for way in ways]
            rows.append([f"{size}, {label}", str(of_seeds[0]["messages"]), *cells])
    return [
        "### Questions of two and three tasks in one message",
        "With an empty line between them. In percent of the questions that the reply answers "
        "right, and of the messages of which it answers all; a line of the reply counts for one question, in their "
        "order. `single (oracle)`: each question alone, by its own adapter, which is what can be had. `parts`: as the "
        "product answers.",
        table(["tasks", "messages", *(SHORT[way] for way in ways)], rows),
    ]


def _runs(found: Figures) -> list[str]:
    seeds = list(found.values())
    rows = []
    for is_large, label in ((False, "a task's LoRAs"), (True, "the large LoRA")):
        runs = [run for seed in seeds for run in seed if (run["adapters"] == [LARGE]) is is_large]
        before, after = (statistics.mean(run["held_out_loss"][key] for run in runs) for key in ("base", "least"))
        speed = statistics.median(run["tokens_per_second"] for run in runs)
        early = sum(run["ended"] == "early" for run in runs)
        minutes = sum(run["seconds"] for run in runs) / 60 / len(seeds)
        learnt_from = [count for run in runs for count in run["rows"].values()]
        rows.append(
            [
                *(label, str(runs[0]["rank"]), str(len(runs) // len(seeds)), f"{statistics.median(learnt_from):,.0f}"),
                *(str(runs[0]["epochs"]), f"{before:.2f} → {after:.2f}", f"{early} of {len(runs)}"),
                *(f"{minutes:.1f}", f"{speed:.0f}", ", ".join(sorted({run["device"] for run in runs}))),
            ]
        )
    header = ["adapters", "rank", "runs a seed", "rows, median", "epochs", "held-out loss", "ended early"]
    header += ["minutes a seed", "tokens/s", "device"]
    return [
        "### The training",
        "Mean loss of a held-out answer's token before, and at the epoch that was kept, mean of the runs; a run ends "
        "early where its held-out rows no longer gain. `rows`: those that an adapter learns from; there are "
        f"{WHOLE_ROWS} of most tasks, and `adapters train` would take {WHOLE_EPOCHS} epochs of these "
        "(`python -m tools.reproduce bbh` does both, unless fewer are asked for).",
        table(header, rows),
    ]
