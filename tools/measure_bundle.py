"""Measures a pack through the product: how often each adapter answers exactly right, greedy, on valid rows.

    python -m tools.measure_bundle --data DATA --pack models/bundled --out build/figures.json

`alone`: the task's adapter at weight 1. `routed`: the mix that the router chooses. `base`: the bare backbone.
`describe` is scored by BLEU (sacrebleu, all references of a prompt), the others by exact match: `extract` as JSON
objects (`alone_as_text`: as characters, the order of keys included).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sacrebleu

from dlp_local import Assistant, Mix, ReplyDone, open_assistant
from dlp_local.core.settings import Settings
from tools import data

ROWS = 2000
"""At most so many valid rows of a task, drawn with a fixed seed."""

BASE_ROWS = 100
MUST = {"shell": 12.0, "sql": 55.0, "describe": 40.0, "extract": 80.0, "banking": 80.0, "dates": 95.0}


def answer(assistant: Assistant, message: str, mix: Mix | None) -> str:
    """The whole answer to a message."""
    *_, done = assistant.reply(message, mix=mix)
    assert isinstance(done, ReplyDone)
    return done.answer


def same_text(given: str, wanted: str) -> bool:
    """The same characters."""
    return given.strip() == wanted.strip()


def same_object(given: str, wanted: str) -> bool:
    """The same JSON object; the order of its keys, which the data leaves to chance, does not count."""
    try:
        return bool(json.loads(given) == json.loads(wanted))
    except ValueError:
        return False


def exact(
    assistant: Assistant, rows: list[data.Row], mix: Mix | None, same: Callable[[str, str], bool] = same_text
) -> float:
    """Percentage of rows that are answered exactly as the data has it."""
    return 100 * sum(same(answer(assistant, row.message, mix), row.answer) for row in rows) / len(rows)


def bleu(assistant: Assistant, rows: list[data.Row], mix: Mix | None) -> float:
    """Corpus BLEU of one answer a prompt against all its references."""
    references: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        references[row.message].append(row.answer)
    answers = [answer(assistant, message, mix) for message in references]
    most = max(map(len, references.values()))
    streams = [[texts[i] if i < len(texts) else None for texts in references.values()] for i in range(most)]
    return float(sacrebleu.corpus_bleu(answers, streams).score)


SCORES: dict[str, Callable[[Assistant, list[data.Row], Mix | None], float]] = {
    "describe": bleu,
    "extract": partial(exact, same=same_object),
}
METRICS = {"describe": "BLEU, all references", "extract": "the same JSON object, %"}


def measure(folder: Path, pack: Path) -> dict[str, dict[str, Any]]:
    """Figures of every task of a pack."""
    figures: dict[str, dict[str, Any]] = {}
    with open_assistant(Settings.model_construct(), pack) as assistant:
        for task in data.TASKS:
            rows = data.load(folder, task, "valid")
            score = SCORES.get(task, exact)
            if task != "describe" and len(rows) > ROWS:
                rows = random.Random(0).sample(rows, ROWS)
            figures[task] = {
                "metric": METRICS.get(task, "exactly right, %"),
                "rows": len(rows),
                "alone": round(score(assistant, rows, Mix.of({task: 1.0})), 1),
                "routed": round(score(assistant, rows, None), 1),
                "base": round(score(assistant, rows[:BASE_ROWS], Mix()), 1),
                "must": MUST[task],
            }
            if task == "extract":
                figures[task]["alone_as_text"] = round(exact(assistant, rows, Mix.of({task: 1.0})), 1)
            print(task, figures[task], flush=True)
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--pack", type=Path, default=Path("models/bundled"))
    parser.add_argument("--out", type=Path, default=Path("build/figures.json"))
    args = parser.parse_args()
    figures = measure(args.data, args.pack)
    args.out.write_text(json.dumps(figures, indent=1), "utf-8")
    if short := [task for task, figure in figures.items() if figure["alone"] < figure["must"]]:
        sys.exit(f"below the target: {', '.join(short)}")


if __name__ == "__main__":
    main()
