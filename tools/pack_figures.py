"""Measures a pack through the product: how often each adapter answers exactly right, greedy, on valid rows.

    python -m tools.pack_figures smollm2 --data DATA --rows 200 --out build/smollm2/figures.json

`alone`: the task's adapter at weight 1. `routed`: as the router chooses, in parts where it splits a message. `base`:
the bare backbone. What each task is scored by stands in `SCORES`. The same message under the same mix is answered once,
and the answers are kept beside OUT, in `OUT.answers.jsonl`: a run that was cut, or one after the router was trained
again, computes only those that are missing. As many rows as `serve` answers at once share the engine's steps.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlp_local import Assistant, open_assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.files import written_aside
from dlp_local.core.settings import Settings
from dlp_local.evaluation.answers import Answers
from dlp_local.evaluation.policies import parse_policies
from dlp_local.evaluation.row import EvalRow
from dlp_local.evaluation.runner import Measured, Plan, evaluate
from dlp_local.packs.manifest import read_manifest
from tools.data import Row
from tools.recipes import RECIPES
from tools.recipes.recipe import Recipe
from tools.scores import EXACT, SCORES

ROWS = 2000
"""At most so many valid rows of a task, drawn with a fixed seed."""

BASE_ROWS = 100
GREEDY = ChatOptions(temperature=0, repeat_penalty=1, max_tokens=512)


WAYS = {"alone": "oracle", "routed": "parts", "base": "base"}
"""Each way of answering, and the policy of `dlp-local eval` that it is."""


def answered(assistant: Assistant, kept: Answers, messages: Sequence[str], adapter: str | None, way: str) -> list[str]:
    """The whole answers to messages, each asked once; raises `InputError` where one cannot be had."""
    rows = tuple(EvalRow(text, ("",), "exact", adapter, line=line) for line, text in enumerate(messages, start=1))
    policies = parse_policies(WAYS[way], assistant.adapters, assistant.settings.routing)
    *_, measured = evaluate(assistant, Plan(rows, policies, GREEDY), kept)
    assert isinstance(measured, Measured)
    for problem in measured.problems:
        raise InputError(f"{messages[problem.line - 1]!a}: {problem.reason}")
    given = {outcome.row.text: outcome.answer for outcome in measured.outcomes}
    return [given[message] for message in messages]


def measure(
    recipe: Recipe,
    data: Path,
    pack: Path,
    answers: Path,
    most: int = ROWS,
    base_rows: int = BASE_ROWS,
    kinds: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """Figures of a pack, more of them each time; `answers` is where answers are kept. No `kinds` are all.

    `tasks` has those of each kind of valid rows, each way of answering, each metric; `everyday` what is answered to the
    recipe's everyday requests where all kinds are measured. What base answers to valid rows comes last, for it takes
    longest.
    """
    figures: dict[str, Any] = {"tasks": {}, "everyday": []}
    adapters = {kind: adapter for kind, adapter in recipe.kinds.items() if not kinds or kind in kinds}
    with open_assistant(Settings.model_construct().for_comparison(), pack) as assistant:
        kept = Answers(assistant, read_manifest(pack), answers, {})
        samples = {kind: sample(recipe.valid_rows(data, kind), most) for kind in adapters}
        for ways in (("alone", "routed"), ("base",) if base_rows else ()):
            for kind, adapter in adapters.items():
                rows = samples[kind]
                figure = figures["tasks"].setdefault(kind, {"rows": len(rows), "base_rows": min(base_rows, len(rows))})
                for way in ways:
                    asked = list(rows)[: base_rows if way == "base" else most]
                    given = answered(assistant, kept, asked, adapter, way)
                    wanted = [rows[message] for message in asked]
                    scores = SCORES.get(kind, EXACT)
                    figure[way] = {name: round(score(given, wanted), 1) for name, score in scores.items()}
                yield figures
            if not figures["everyday"] and not kinds:
                figures["everyday"] = _both_answers(assistant, kept, recipe.everyday)
                yield figures


def _both_answers(assistant: Assistant, kept: Answers, messages: Sequence[str]) -> list[dict[str, str]]:
    """The mix that the router chooses for each message, its answer, and that of base."""
    routes = [assistant.route(message) for message in messages]
    ways = (answered(assistant, kept, messages, None, way) for way in ("routed", "base"))
    both = zip(messages, routes, *ways, strict=True)
    return [
        {
            "message": message,
            "mix": ", ".join(str(part.mix) for part in route.parts or (route,)),
            "routed": routed,
            "base": base,
        }
        for message, route, routed, base in both
    ]


def sample(rows: Sequence[Row], most: int) -> Mapping[str, list[Row]]:
    """The rows by message; those of at most so many messages, drawn with a fixed seed, fewer of them among the more."""
    by_message: dict[str, list[Row]] = {}
    for row in rows:
        by_message.setdefault(row.message, []).append(row)
    chosen = random.Random(0).sample(list(by_message), len(by_message))[:most]
    return {message: by_message[message] for message in chosen}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, help="the pack's folder; else models/PACK")
    parser.add_argument("--rows", type=int, default=ROWS, help="of each kind, at most")
    parser.add_argument("--base-rows", type=int, default=BASE_ROWS, help="of each kind, for the bare backbone")
    parser.add_argument("--kinds", nargs="+", default=(), help="of rows; all, where none is named")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    folder = args.folder or Path("models") / args.pack
    answers = args.out.with_suffix(".answers.jsonl")
    for figures in measure(RECIPES[args.pack], args.data, folder, answers, args.rows, args.base_rows, args.kinds):
        with written_aside(args.out) as part:
            part.write_text(json.dumps(figures, indent=1), "utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
