"""Measures routing on rows that nothing was chosen on: training, adapters known by examples alone, a thousand adapters.

    python -m tools.measure_routing --data DATA --out build/routing.json

`train`: `router train` on the rows of a data set, then its valid rows. `new`: ten intents are pretend adapters that are
known by a few examples beside 140 that are trained on; five draws. `many`: a thousand adapters in one pack. `base` rows
are the out-of-scope rows of `intents`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.files import written_aside
from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE
from dlp_local.packs import bundled_pack
from dlp_local.routing import Encoder, MessageRouter
from dlp_local.training.router.data import held_out_texts
from dlp_local.training.router.fit import fit_router
from dlp_local.training.router.metrics import figures
from dlp_local.training.router.train import train_file
from tools.data import read_jsonl

NEW = 10
Floats = npt.NDArray[np.float32]
Rows = list[tuple[str, str]]


def rows(data: Path, name: str, split: str) -> Rows:
    """(text, label) rows of a data set; what is out of scope is `base`'s."""
    found = read_jsonl(data / name / f"{split}.jsonl.gz")
    return [(row["prompt"], BASE if row["answer"] == "oos" else row["answer"]) for row in found]


class Bench:
    """The bundled encoder, and what was embedded with it."""

    def __init__(self) -> None:
        pack = bundled_pack()
        self.files = pack / "encoder.onnx", pack / "encoder_tokenizer.json"
        self._encoder = Encoder(*self.files, threads=2)
        self._known: dict[str, Floats] = {}

    def of(self, texts: Sequence[str]) -> Floats:
        """Embeddings (n, dims), each as the product has it: alone."""
        for text in texts:
            if text not in self._known:
                self._known[text] = self._encoder.encode([text])[0]
        return np.stack([self._known[text] for text in texts])

    def router(self, router: Path | None, adapters: dict[str, list[str]]) -> MessageRouter:
        """As a pack would open it."""
        return MessageRouter(*self.files, router, 1, adapters)


def measure_training(bench: Bench, data: Path, name: str, folder: Path) -> dict[str, Any]:
    """`router train --examples … --out …` from nothing: seconds, memory; figures of the valid rows."""
    source = folder / f"{name}.jsonl"
    given = rows(data, name, "train")
    source.write_text("".join(json.dumps({"text": text, "adapter": label}) + "\n" for text, label in given), "utf-8")
    start = time.perf_counter()
    report = train_file(bundled_pack(), [source], folder / name, progress=lambda *_: None)
    seconds = time.perf_counter() - start
    router = bench.router(folder / name / "router.onnx", {label: [] for label in report.labels})
    valid = rows(data, name, "valid")
    probabilities, truth = router.probabilities(bench.of([text for text, _ in valid])), [label for _, label in valid]
    index = [router.labels.index(label) for label in truth]
    inside = np.array(truth) != BASE
    right = probabilities.argmax(axis=1) == index
    found = figures(probabilities, router.labels, truth)
    alone = probabilities.copy()
    alone[:, router.labels.index(BASE)] = 0
    return {
        "rows": report.rows,
        "labels": len(report.labels),
        "seconds": round(seconds, 1),
        "memory_mib": _memory_mib(),
        "in_scope_accuracy": round(float(right[inside].mean()), 4),
        "in_scope_accuracy_among_adapters": round(float((alone.argmax(axis=1) == index)[inside].mean()), 4),
        "in_scope_sent_to_base": round(found.base_share, 4),
        "out_of_scope_recall": None if found.base_recall is None else round(found.base_recall, 4),
        "calibration_error": round(found.calibration_error, 4),
    }


def measure_new(bench: Bench, data: Path, folder: Path, examples: int, draw: int) -> dict[str, float]:
    """Ten intents by their examples alone: top-1 of their valid rows, and what the 140 others lose."""
    rng = np.random.default_rng(1000 + draw)
    train, valid = dict(rows(data, "intents", "train")), rows(data, "intents", "valid")
    intents = sorted(set(train.values()) - {BASE})
    new = set(rng.choice(intents, NEW, replace=False).tolist())
    known = {text: label for text, label in train.items() if label not in new}
    path = folder / f"draw-{draw}.onnx"
    if not path.exists():
        held = held_out_texts(known)
        fit, out = [text for text in known if text not in held], sorted(held)
        trained = fit_router(
            bench.of(fit), [known[text] for text in fit],
            held_out=(bench.of(out), [known[text] for text in out]), seed=draw,
        )  # fmt: skip
        trained.write(path, "bundled")
    chosen = {
        label: rng.choice([text for text, right in train.items() if right == label], examples, replace=False).tolist()
        for label in sorted(new)
    }
    others: dict[str, list[str]] = {label: [] for label in set(known.values()) - {BASE}}
    with_new, without = bench.router(path, others | chosen), bench.router(path, others)

    def top1(router: MessageRouter, wanted: set[str]) -> float:
        some = [row for row in valid if row[1] in wanted]
        probabilities = router.probabilities(bench.of([text for text, _ in some]))
        return figures(probabilities, router.labels, [label for _, label in some]).accuracy

    old, base = set(others), {BASE}
    return {
        "new": top1(with_new, new),
        "lost_by_the_others": top1(without, old) - top1(with_new, old),
        "base_recall": top1(with_new, base),
        "base_recall_before": top1(without, base),
    }


def measure_many(bench: Bench, data: Path, trained: Path) -> dict[str, float]:
    """A route's milliseconds with a thousand adapters of five examples: by examples alone, and beside a router."""
    texts = [text for text, _ in rows(data, "banking", "train")][:5000]
    adapters = {f"adapter-{number}": texts[5 * number : 5 * number + 5] for number in range(1000)}
    found: dict[str, float] = {}
    for name, router in (("examples_alone", None), ("beside_a_router", trained)):
        opened = bench.router(router, adapters)
        options, times = Routing(), []
        for text, _ in rows(data, "banking", "valid")[:300]:
            times.append(opened.route(text, options).total_ms)
        found |= {f"{name}_median_ms": float(np.median(times)), f"{name}_p95_ms": float(np.quantile(times, 0.95))}
    return {name: round(value, 2) for name, value in found.items()}


def _memory_mib() -> int:
    """The most memory that this process has had, in MiB; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20 if sys.platform == "darwin" else 1 << 10)


def spread(draws: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, least and greatest of each figure."""
    return {
        name: {
            "mean": round(float(np.mean([draw[name] for draw in draws])), 4),
            "least": round(min(draw[name] for draw in draws), 4),
            "greatest": round(max(draw[name] for draw in draws), 4),
        }
        for name in draws[0]
    }


def main() -> None:
    """Measures, prints and writes the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--out", type=Path, default=Path("build/routing.json"))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--only", choices=("train", "new", "many"), help="one part alone")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder, bench = Path(temporary), Bench()
        if arguments.only in (None, "train", "many"):
            found["train"] = {
                name: measure_training(bench, arguments.data, name, folder) for name in ("intents", "banking")
            }
            print(json.dumps(found["train"], indent=1), flush=True)
        if arguments.only in (None, "many"):
            found["many"] = measure_many(bench, arguments.data, folder / "intents" / "router.onnx")
            print(json.dumps(found["many"], indent=1), flush=True)
        if arguments.only in (None, "new"):
            for examples in (5, 1):
                draws = [measure_new(bench, arguments.data, folder, examples, draw) for draw in range(arguments.draws)]
                found[f"new_by_{examples}"] = spread(draws)
                print(json.dumps({f"new_by_{examples}": found[f"new_by_{examples}"]}, indent=1), flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(arguments.out) as part:
        part.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
