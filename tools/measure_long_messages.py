"""Measures where requests go that stand before or after a longer text, and such texts alone.

    python -m tools.measure_long_messages smollm2 --data DATA --prose FOLDER [--router FILE]

`FOLDER` has text files: letters, articles, logs, code. Requests are valid rows of each kind that are routed rightly
alone; each is joined with a blank line to the beginning of each text, in several lengths. `by the whole` is the message
as one embedding, `with its ends` as the product has it (`dlp_local.routing.ends`). `alone`: the texts that stay with
`base`. `long rows`: the valid rows that are long, with the adapters' own right label.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE
from dlp_local.packs import bundled_pack
from dlp_local.routing import MessageRouter
from dlp_local.routing.ends import LONG
from tools.recipes import RECIPES

LENGTHS = (300, 600, 1100, 2000)
SHORT = 250
"""Characters of a request at most."""

LONG_ROWS = 100
"""Long valid rows of a kind at most."""


def beginning(text: str, length: int) -> str:
    """The beginning of a text, to its last whole line or sentence."""
    cut = text[:length]
    end = max(cut.rfind(". ") + 1, cut.rfind("\n"))
    return cut[:end].strip() if end > length // 2 else cut


def _top(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)


class _Bench:
    """A router, and what it makes of messages."""

    def __init__(self, router: MessageRouter) -> None:
        self._router = router
        self._options = Routing(split=False)
        self.right: dict[str, list[tuple[bool, bool]]] = defaultdict(list)

    def by_the_whole(self, text: str) -> str:
        """The label of a message as one embedding."""
        return self._router.labels[int(self._router.probabilities(self._router.embeddings([text])).argmax())]

    def add(self, name: str, text: str, label: str) -> None:
        """Counts a message under a name: whether it is right by the whole, and with its ends."""
        routed = _top(self._router.route(text, self._options).probabilities)
        self.right[name].append((self.by_the_whole(text) == label, routed == label))

    def figures(self) -> dict[str, dict[str, float]]:
        """The share that is right under each name."""
        return {
            name: {
                "messages": len(pairs),
                "by the whole": round(float(np.mean([whole for whole, _ in pairs])), 3),
                "with its ends": round(float(np.mean([with_ends for _, with_ends in pairs])), 3),
            }
            for name, pairs in self.right.items()
        }


def main() -> None:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--prose", type=Path, required=True, help="folder of text files")
    parser.add_argument("--router", type=Path, help="instead of the pack's")
    parser.add_argument("--requests", type=int, default=2, help="of each kind")
    arguments = parser.parse_args()
    corpus, folder = RECIPES[arguments.pack].corpus, bundled_pack()
    file = arguments.router or folder.parent / arguments.pack / "router.onnx"
    encoder, tokenizer = folder / "encoder.onnx", folder / "encoder_tokenizer.json"
    bench = _Bench(MessageRouter(encoder, tokenizer, file, 1, dict.fromkeys(corpus.tasks, ())))
    texts = [path.read_text("utf-8").strip() for path in sorted(arguments.prose.glob("*.txt"))]
    valid, rng = corpus.valid(arguments.data), random.Random(0)
    requests = []
    for kind, rows in valid.items():
        label = corpus.labels.get(kind, kind)
        for row in [row for row in rows if len(row) > LONG][:LONG_ROWS]:
            bench.add("long rows", row, label)
        if label != BASE:
            short = (row for row in rng.sample(rows, len(rows)) if len(row) <= SHORT)
            right = (row for row in short if bench.by_the_whole(row) == label)
            requests += [(row, label) for row, _ in zip(right, range(arguments.requests), strict=False)]
    for length in LENGTHS:
        for text in (beginning(text, length) for text in texts):
            bench.add(f"{length} characters alone", text, BASE)
            for request, label in requests:
                bench.add(f"before {length} characters", f"{request}\n\n{text}", label)
                bench.add(f"after {length} characters", f"{text}\n\n{request}", label)
    print(json.dumps(bench.figures(), indent=1))


if __name__ == "__main__":
    main()
