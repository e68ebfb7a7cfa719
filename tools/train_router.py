"""Trains a pack's router and measures it on valid rows.

    python -m tools.train_router smollm2 --data DATA --encoder models/bundled/encoder.onnx \
        --tokenizer models/bundled/encoder_tokenizer.json --out build/smollm2/router

Writes `OUT/router.onnx` and `OUT/router_figures.json`. Embeddings come from the encoder that the product runs, one
message at a time as the product does it, and are kept in `OUT`, so a second run encodes only what is new.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.files import written_aside
from dlp_local.core.values import BASE
from dlp_local.routing.encoder import Encoder
from dlp_local.routing.router import Router
from dlp_local.training.router.fit import fit_router
from dlp_local.training.router.metrics import calibration_error
from tools import router_follow_ups
from tools.data import read_jsonl
from tools.router_corpus import Corpus

ENCODER_NAME = "sentence-transformers/all-MiniLM-L6-v2, int8"
KEPT_EVERY = 2000
"""Messages that are embedded between two writings of what is kept."""

ANSWERS = 250
"""Of the answers to questions about a booking, those that are measured."""


class Embeddings:
    """Embeddings of messages, kept in a file that belongs to one encoder."""

    def __init__(self, model: Path, tokenizer: Path, folder: Path) -> None:
        """The encoder's two files; the kept embeddings go to `folder`."""
        self._encoder = Encoder(model, tokenizer, threads=1)
        self._file = folder / f"embeddings-{hashlib.sha256(model.read_bytes()).hexdigest()[:12]}.npz"
        self._known: dict[str, npt.NDArray[np.float32]] = {}
        if self._file.exists():
            with np.load(self._file) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    @property
    def embedding_dims(self) -> int:
        """How many of their numbers are the sentence embedding's: the first ones."""
        return self._encoder.embedding_dims

    def of(self, messages: Sequence[str]) -> npt.NDArray[np.float32]:
        """What messages are routed by (n, dims), float32."""
        keys = [hashlib.sha256(message.encode()).hexdigest() for message in messages]
        new = {key: message for key, message in zip(keys, messages, strict=True) if key not in self._known}
        for number, (key, message) in enumerate(new.items(), start=1):
            self._known[key] = self._encoder.encode([message])[0]
            if number % KEPT_EVERY == 0 or number == len(new):
                self._keep()
        return np.stack([self._known[key] for key in keys])

    def _keep(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(self._file) as part:
            np.savez(part, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))


def measure(corpus: Corpus, router: Router, embeddings: Embeddings, valid: Mapping[str, list[str]]) -> dict[str, Any]:
    """Top-1 on valid rows: each kind's, the means of the adapters' kinds and of base's; calibration error of all."""
    index = {name: number for number, name in enumerate(router.labels)}
    label = {kind: corpus.labels.get(kind, kind) for kind in valid}
    rows = {kind: router.probabilities(embeddings.of(messages)) for kind, messages in valid.items()}
    right = {kind: p.argmax(axis=1) == index[label[kind]] for kind, p in rows.items()}
    truth = np.concatenate([np.full(len(p), index[label[kind]]) for kind, p in rows.items()])
    wrong = [
        {"text": message, "kind": kind, "as": router.labels[p.argmax()], "p": round(float(p.max()), 3)}
        for kind, messages in valid.items()
        for message, p in zip(messages, rows[kind], strict=True)
        if p.argmax() != index[label[kind]]
    ]
    of_base = [kind for kind in valid if label[kind] == BASE]
    return {
        "top1": {kind: round(float(right[kind].mean()), 4) for kind in valid},
        "top1_adapters": round(float(np.mean([right[kind].mean() for kind in valid if kind not in of_base])), 4),
        "top1_base": round(float(np.mean([right[kind].mean() for kind in of_base])), 4),
        "kinds_of_base": of_base,
        "rows": {kind: len(messages) for kind, messages in valid.items()},
        "calibration_error_valid": round(calibration_error(np.concatenate(list(rows.values())), truth), 4),
        "mistakes": wrong,
    }


def measure_follow_ups(
    corpus: Corpus, router: Router, embeddings: Embeddings, valid: Mapping[str, list[str]], data: Path
) -> dict[str, dict[str, float]]:
    """Top-1 of messages after another turn, alone and with that turn carried over (`router_follow_ups.measure`)."""
    by_label: dict[str, list[str]] = {}
    for kind, messages in valid.items():
        by_label.setdefault(corpus.labels.get(kind, kind), []).extend(messages)
    follow_ups = {**corpus.follow_ups, router_follow_ups.ANY: corpus.any_follow_ups}
    answers = [row["prompt"] for row in read_jsonl(data / "extract" / "valid.jsonl.gz") if row["requested"]]
    return router_follow_ups.measure(
        router,
        {label: embeddings.of(messages) for label, messages in by_label.items()},
        {label: embeddings.of(messages) for label, messages in follow_ups.items()},
        {label: embeddings.of(messages) for label, messages in corpus.new_follow_ups.items()},
        embeddings.of(answers[:ANSWERS]),
        embeddings.of([message.split("\ncolumns: ")[0] for message in valid["sql"][:200]]),
    )


def _is_held_out(message: str) -> bool:
    """A tenth of the messages, for the temperature (what is in the rows more than once is trained on instead)."""
    return hashlib.sha256(message.encode()).digest()[0] < 26


def train(corpus: Corpus, data: Path, embeddings: Embeddings, out: Path, seed: int = 0) -> dict[str, Any]:
    """Trains, exports and measures; returns the figures that it writes to `out/router_figures.json`."""
    out.mkdir(parents=True, exist_ok=True)
    valid = corpus.valid(data)
    unseen = {message for messages in valid.values() for message in messages}
    rows = [row for row in corpus.training(data, random.Random(seed)) if row[0] not in unseen]
    copies = Counter(message for message, _ in rows)
    fit = [row for row in rows if copies[row[0]] > 1 or not _is_held_out(row[0])]
    held = [row for row in rows if copies[row[0]] == 1 and _is_held_out(row[0])]
    trained = fit_router(
        embeddings.of([message for message, _ in fit]),
        [label for _, label in fit],
        held_out=(embeddings.of([message for message, _ in held]), [label for _, label in held]),
        shape=corpus.shape,
        seed=seed,
    )
    lift = np.array([corpus.base_lift * (label == BASE) for label in trained.labels])
    trained = replace(trained, network=trained.network.calibrated(1.0, lift))
    trained.write(out / "router.onnx", ENCODER_NAME, is_small=True)
    figures: dict[str, Any] = {
        "parameters": trained.network.parameters,
        "bytes": (out / "router.onnx").stat().st_size,
        "training_rows": len(rows),
        "temperature": round(trained.temperature, 4),
        "held_out_accuracy": round(trained.accuracy, 4),
        "calibration_error_before": round(trained.calibration_error_before, 4),
        "calibration_error": round(trained.calibration_error, 4),
    }
    router = Router(out / "router.onnx", threads=1)
    figures |= {"follow_ups": measure_follow_ups(corpus, router, embeddings, valid, data)}
    figures |= measure(corpus, router, embeddings, valid)
    with written_aside(out / "router_figures.json") as part:
        part.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return figures


def main() -> None:
    """Trains and prints the figures."""
    from tools.recipes import RECIPES

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--encoder", type=Path, required=True, help="the encoder's ONNX file")
    parser.add_argument("--tokenizer", type=Path, required=True, help="and its tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", type=Path, help="measure this router instead, and write nothing but embeddings")
    arguments = parser.parse_args()
    corpus, data = RECIPES[arguments.pack].corpus, arguments.data
    embeddings = Embeddings(arguments.encoder, arguments.tokenizer, arguments.out)
    if arguments.measure:
        router, valid = Router(arguments.measure, threads=1), corpus.valid(data)
        figures = measure(corpus, router, embeddings, valid)
        figures["follow_ups"] = measure_follow_ups(corpus, router, embeddings, valid, data)
    else:
        figures = train(corpus, data, embeddings, arguments.out, arguments.seed)
    print(json.dumps({name: value for name, value in figures.items() if name != "mistakes"}, indent=1))


if __name__ == "__main__":
    main()
