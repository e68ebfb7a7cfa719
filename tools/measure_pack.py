"""Measures a pack through the product: how often each adapter answers exactly right, greedy, on valid rows.

    python -m tools.measure_pack smollm2 --data DATA --rows 200 --out build/smollm2/figures.json

`alone`: the task's adapter at weight 1. `routed`: the mix that the router chooses. `base`: the bare backbone. What each
task is scored by stands in `SCORES`. The same message under the same mix is answered once.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlp_local import Assistant, Mix, ReplyDone, open_assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.files import written_aside
from dlp_local.core.settings import Settings
from tools.data import Row
from tools.recipes import RECIPES
from tools.recipes.recipe import Recipe
from tools.scores import EXACT, SCORES

ROWS = 2000
"""At most so many valid rows of a task, drawn with a fixed seed."""

BASE_ROWS = 100
GREEDY = ChatOptions(temperature=0, repeat_penalty=1, max_tokens=512)


class Answers:
    """A pack's answers, each computed once."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._known: dict[tuple[str, Mix], str] = {}

    def of(self, message: str, mix: Mix | None) -> str:
        """The whole answer to a message, greedy; the router chooses where there is no mix."""
        chosen = self._assistant.route(message).mix if mix is None else mix
        if (message, chosen) not in self._known:
            *_, done = self._assistant.reply(message, mix=chosen, options=GREEDY)
            assert isinstance(done, ReplyDone)
            self._known[message, chosen] = done.answer
        return self._known[message, chosen]


def measure(recipe: Recipe, data: Path, pack: Path, most: int = ROWS, base_rows: int = BASE_ROWS) -> dict[str, Any]:
    """Figures of every kind of valid rows of a pack: of each way of answering, of each metric."""
    figures: dict[str, Any] = {}
    with open_assistant(Settings.model_construct(), pack) as assistant:
        answers = Answers(assistant)
        for kind, adapter in recipe.kinds.items():
            rows = _sample(recipe.valid_rows(data, kind), most)
            messages = list(rows)
            ways = {"alone": (messages, Mix.of({adapter: 1.0})), "routed": (messages, None)}
            ways["base"] = (messages[:base_rows], Mix())
            scores = SCORES.get(kind, EXACT)
            figures[kind] = {"rows": len(rows), "base_rows": len(messages[:base_rows])}
            for way, (asked, mix) in ways.items():
                given = [answers.of(message, mix) for message in asked]
                wanted = [rows[message] for message in asked]
                figures[kind][way] = {name: round(score(given, wanted), 1) for name, score in scores.items()}
            print(kind, figures[kind], flush=True)
    return figures


def _sample(rows: Sequence[Row], most: int) -> Mapping[str, list[Row]]:
    """The rows by message; those of at most so many messages, drawn with a fixed seed."""
    by_message: dict[str, list[Row]] = {}
    for row in rows:
        by_message.setdefault(row.message, []).append(row)
    chosen = random.Random(0).sample(list(by_message), min(most, len(by_message)))
    return {message: by_message[message] for message in chosen}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, help="the pack's folder; else models/PACK")
    parser.add_argument("--rows", type=int, default=ROWS, help="of each kind, at most")
    parser.add_argument("--base-rows", type=int, default=BASE_ROWS, help="of each kind, for the bare backbone")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    folder = args.folder or Path("models") / args.pack
    figures = measure(RECIPES[args.pack], args.data, folder, args.rows, args.base_rows)
    with written_aside(args.out) as part:
        part.write_text(json.dumps(figures, indent=1), "utf-8")


if __name__ == "__main__":
    main()
