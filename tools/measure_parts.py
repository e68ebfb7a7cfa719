"""Measures how messages of several tasks are answered in parts, and that messages of one task stay whole.

    python -m tools.measure_parts smollm2 --data DATA --out build/smollm2/parts.json [--messages 200] [--router FILE]

`split`: the share of each kind's valid rows that is cut. `cut right`: the share of two-task messages, joined by a line
break, a full stop and "and" in turn, that is cut where they were joined and whose parts go to the right adapters.
`answered right`: through the product, greedy, the share of those messages whose rows are answered right alone that is
answered right in both parts; `--messages 0` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local import Assistant, Message, Mix, ReplyDone
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.files import written_aside
from dlp_local.core.job import Job
from dlp_local.core.settings import Routing, Sampling, Settings
from dlp_local.core.values import Scope
from dlp_local.engine.base import EngineEvent, Reply
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.opening import settings_for
from dlp_local.packs import open_pack
from dlp_local.routing import MessageRouter
from tools.data import Row
from tools.measure_pack import GREEDY, ROWS, sample
from tools.recipes import RECIPES
from tools.recipes.recipe import Recipe
from tools.scores import is_right

CUT_MESSAGES = 1500
"""Two-task messages that the router alone is measured by."""

JOINTS = ("line break", "full stop", "and")


@dataclass(frozen=True, slots=True)
class TwoTasks:
    """A message made of two rows of different adapters; `kinds` are those of the rows."""

    text: str
    joint: str
    kinds: tuple[str, str]
    rows: tuple[Row, Row]


def join(first: str, second: str, joint: str) -> str:
    """One message of two."""
    first = first.rstrip()
    if joint == "line break":
        return f"{first}\n{second}"
    if joint == "full stop":
        return f"{first} {second}" if first[-1] in ".!?" else f"{first}. {second}"
    return f"{first.rstrip('.')} and {second}"


def two_task_messages(recipe: Recipe, rows: Mapping[str, Sequence[Row]], count: int, seed: int = 0) -> list[TwoTasks]:
    """Messages of two rows of different adapters, drawn evenly from the kinds; each joint has a third of them."""
    rng, messages = random.Random(seed), list[TwoTasks]()
    while len(messages) < count:
        first, second = rng.sample(sorted(rows), 2)
        if recipe.kinds[first] == recipe.kinds[second]:
            continue
        pair = rng.choice(rows[first]), rng.choice(rows[second])
        joint = JOINTS[len(messages) % len(JOINTS)]
        messages.append(TwoTasks(join(pair[0].message, pair[1].message, joint), joint, (first, second), pair))
    return messages


def measure_cuts(
    recipe: Recipe, router: MessageRouter, rows: Mapping[str, Sequence[Row]], options: Routing
) -> dict[str, Any]:
    """The router alone: what of single-task rows is split, what of two-task messages is cut right, what parts cost."""
    figures: dict[str, Any] = {"split, %": {}, "split": []}
    took = []
    for kind, of_kind in rows.items():
        routes = [router.route(row.message, options) for row in of_kind]
        split = [route for route in routes if route.parts]
        figures["split, %"][kind] = round(100 * len(split) / len(routes), 2)
        figures["split"] += [[kind, *((part.text, str(part.mix)) for part in route.parts)] for route in split]
    right: dict[str, list[bool]] = {joint: [] for joint in JOINTS}
    figures["cut wrong"] = []
    for message in two_task_messages(recipe, rows, CUT_MESSAGES):
        route = router.route(message.text, options)
        took.append(route.total_ms - router.route(message.text, options.model_copy(update={"split": False})).total_ms)
        adapters = [max(part.probabilities, key=part.probabilities.__getitem__) for part in route.parts]
        is_cut = adapters == [recipe.kinds[kind] for kind in message.kinds] and route.parts[1].text.strip(
            " ."
        ) == message.rows[1].message.strip(" .")
        right[message.joint].append(is_cut)
        if not is_cut:
            figures["cut wrong"].append([message.text, *((part.text, str(part.mix)) for part in route.parts)])
    figures["cut right, %"] = {joint: round(100 * statistics.mean(flags), 1) for joint, flags in right.items()}
    figures["cut right, %"]["all"] = round(100 * statistics.mean(flag for flags in right.values() for flag in flags), 1)
    figures["parts take, ms"] = {
        "median": round(statistics.median(took), 2),
        "95 of 100": round(sorted(took)[len(took) * 95 // 100], 2),
    }
    return figures


def measure_answers(
    recipe: Recipe, assistant: Assistant, rows: Mapping[str, Sequence[Row]], count: int
) -> dict[str, Any]:
    """Through the product: of two-task messages whose rows are right alone, the share with both right."""
    alone_right = 0
    both: dict[str, list[bool]] = {joint: [] for joint in JOINTS}
    wrong = []
    for message in two_task_messages(recipe, rows, count, seed=1):
        alone = [
            is_right(kind, _answer(assistant, row.message), row)
            for kind, row in zip(message.kinds, message.rows, strict=True)
        ]
        if not all(alone):
            continue
        alone_right += 1
        reply = _reply(assistant, message.text)
        given = [part.answer for part in reply.parts]
        right = len(given) == 2 and all(
            is_right(kind, answer, row) for kind, answer, row in zip(message.kinds, given, message.rows, strict=True)
        )
        both[message.joint].append(right)
        if not right:
            wrong.append(
                {"text": message.text, "answers": given or [reply.answer], "wanted": [r.answer for r in message.rows]}
            )
        print(message.joint, message.kinds, right, flush=True)
    return {
        "messages": count,
        "right alone": alone_right,
        "both right, %": {joint: round(100 * statistics.mean(flags), 1) for joint, flags in both.items() if flags}
        | {"all": round(100 * statistics.mean(flag for flags in both.values() for flag in flags), 1)},
        "wrong": wrong,
    }


class RememberingEngine(EngineProcess):
    """An engine that answers the same greedy request once, for a part is answered like its row alone."""

    def __init__(self, *files_and_options: Any) -> None:
        super().__init__(*files_and_options)
        self._known: dict[Any, list[EngineEvent]] = {}

    def generate(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: Sampling,
        scope: Scope | None = None,
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Reply:
        """As that of any engine."""
        seedless = sampling.model_copy(update={"seed": 0}).model_dump_json()
        request = (tuple(messages), mix, seedless, scope, answer_format)
        if request not in self._known:
            self._known[request] = list(super().generate(messages, mix, sampling, scope, answer_format))
        return Job(lambda _: (event for event in self._known[request]))


def _open(folder: Path, router: MessageRouter, options: Routing) -> Assistant:
    pack = open_pack(folder)
    settings = settings_for(pack, Settings.model_construct(routing=options))
    engine = RememberingEngine(pack.backbone_path, pack.adapter_files(), settings.engine)
    return Assistant(pack, settings, engine, lambda _: router)


def _reply(assistant: Assistant, text: str) -> ReplyDone:
    *_, done = assistant.reply(text, options=GREEDY)
    assert isinstance(done, ReplyDone)
    return done


def _answer(assistant: Assistant, text: str) -> str:
    return _reply(assistant, text).answer


def valid_rows(recipe: Recipe, data: Path, most: int) -> dict[str, list[Row]]:
    """Kind → its valid rows, one of each message."""
    return {kind: [rows[-1] for rows in sample(recipe.valid_rows(data, kind), most).values()] for kind in recipe.kinds}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--router", type=Path, help="another router than the pack's, for the cuts")
    parser.add_argument("--rows", type=int, default=ROWS, help="of each kind, at most")
    parser.add_argument("--messages", type=int, default=200, help="two-task messages that are answered")
    parser.add_argument("--split-at", type=float, default=Routing().split_at)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    recipe, folder = RECIPES[args.pack], Path("models") / args.pack
    rows = valid_rows(recipe, args.data, args.rows)
    pack = open_pack(folder, only_routing=True)
    manifest = pack.manifest
    options = Routing(split_at=args.split_at)
    assert manifest.router
    router = MessageRouter(
        pack.path(manifest.encoder),
        pack.path(manifest.encoder.tokenizer),
        args.router or pack.path(manifest.router),
        options.encoder_threads,
        dict.fromkeys(manifest.enabled, ()),
    )
    figures = measure_cuts(recipe, router, rows, options)
    print(json.dumps({name: value for name, value in figures.items() if name not in ("split", "cut wrong")}, indent=1))
    if args.messages:
        with _open(folder, router, options) as assistant:
            figures["answers"] = measure_answers(recipe, assistant, rows, args.messages)
    with written_aside(args.out) as part:
        part.write_text(json.dumps(figures, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
