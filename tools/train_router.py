"""Trains the bundled pack's router and measures it on valid rows.

    python -m tools.train_router --data DATA --encoder build/encoder --out build/router

Writes `OUT/router.onnx` and `OUT/router_figures.json`. Embeddings come from the encoder that the product runs, one
message at a time as the product does it, and are kept in `OUT`, so a second run encodes only what is new. Needs the
`train` extra.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.files import written_aside
from dlp_local.core.values import BASE
from dlp_local.routing.encoder import Encoder
from dlp_local.routing.router import Router
from dlp_local.training.router.fit import Shape, fit_router
from dlp_local.training.router.metrics import calibration_error
from tools import router_follow_ups
from tools.data import TASKS, read_jsonl
from tools.router_messages import (
    HELD_OUT_ANY_FOLLOW_UPS,
    HELD_OUT_SMALL_TALK,
    HELD_OUT_TASK_FOLLOW_UPS,
    NEW_TASK_FOLLOW_UPS,
    training_messages,
    valid_messages,
)

ENCODER_NAME = "sentence-transformers/all-MiniLM-L6-v2, int8"
SMALL = Shape(members=1, hidden=128, dropout=0.2, anchors=16)
"""Seven labels need no more, and a pack that comes along is to be small: with twice the hidden numbers it is 0.1 points
better on the tasks and 0.2 MB larger."""


class Embeddings:
    """Embeddings of messages, kept in a file that belongs to one encoder."""

    def __init__(self, encoder: Path, folder: Path) -> None:
        """`encoder` is the folder that `tools.export_encoder` wrote; the file goes to `folder`."""
        model, tokenizer = encoder / "encoder.onnx", encoder / "tokenizer.json"
        self._encoder = Encoder(model, tokenizer, threads=1)
        self._file = folder / f"embeddings-{hashlib.sha256(model.read_bytes()).hexdigest()[:12]}.npz"
        self._known: dict[str, npt.NDArray[np.float32]] = {}
        if self._file.exists():
            with np.load(self._file) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def of(self, messages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embeddings (n, dims), float32."""
        keys = [hashlib.sha256(message.encode()).hexdigest() for message in messages]
        new = {key: message for key, message in zip(keys, messages, strict=True) if key not in self._known}
        if new:
            self._known |= {key: self._encoder.encode([message])[0] for key, message in new.items()}
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(self._file) as part:
                np.savez(part, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        return np.stack([self._known[key] for key in keys])


def measure(router: Router, embeddings: Embeddings, valid: dict[str, list[str]]) -> dict[str, Any]:
    """Top-1 on valid rows: each task, all tasks, base and its small talk; calibration error over all rows."""
    labels = {name: index for index, name in enumerate(router.labels)}
    found = {label: router.probabilities(embeddings.of(messages)) for label, messages in valid.items()}
    right = {label: rows.argmax(axis=1) == labels[label] for label, rows in found.items()}
    truth = np.concatenate([np.full(len(rows), labels[label]) for label, rows in found.items()])
    talk = np.isin(valid[BASE], HELD_OUT_SMALL_TALK)
    wrong = [
        {"text": message, "label": label, "as": router.labels[row.argmax()], "p": round(float(row.max()), 3)}
        for label, rows in found.items()
        for message, row in zip(valid[label], rows, strict=True)
        if row.argmax() != labels[label]
    ]
    return {
        "top1": {task: round(float(right[task].mean()), 4) for task in TASKS},
        "top1_all_tasks": round(float(np.concatenate([right[task] for task in TASKS]).mean()), 4),
        "base": round(float(right[BASE].mean()), 4),
        "base_small_talk": round(float(right[BASE][talk].mean()), 4),
        "rows": {label: len(messages) for label, messages in valid.items()},
        "calibration_error_valid": round(calibration_error(np.concatenate(list(found.values())), truth), 4),
        "mistakes": wrong,
    }


def measure_follow_ups(
    router: Router, embeddings: Embeddings, valid: dict[str, list[str]], data: Path
) -> dict[str, dict[str, float]]:
    """Top-1 of messages after another turn, alone and with that turn carried over (`router_follow_ups.measure`)."""
    follow_ups = {**HELD_OUT_TASK_FOLLOW_UPS, router_follow_ups.ANY: HELD_OUT_ANY_FOLLOW_UPS}
    asked = [i for i, row in enumerate(read_jsonl(data / "extract" / "valid.jsonl.gz")) if row["requested"]]
    return router_follow_ups.measure(
        router,
        {label: embeddings.of(messages) for label, messages in valid.items()},
        {label: embeddings.of(messages) for label, messages in follow_ups.items()},
        {label: embeddings.of(messages) for label, messages in NEW_TASK_FOLLOW_UPS.items()},
        asked,
        embeddings.of([message.split("\ncolumns: ")[0] for message in valid["sql"][:200]]),
    )


def _is_held_out(message: str) -> bool:
    """A tenth of the messages, for the temperature (what is in the rows more than once is trained on instead)."""
    return hashlib.sha256(message.encode()).digest()[0] < 26


def train(data: Path, encoder: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    """Trains, exports and measures; returns the figures that it writes to `out/router_figures.json`."""
    out.mkdir(parents=True, exist_ok=True)
    valid = valid_messages(data)
    unseen = {message for messages in valid.values() for message in messages}
    rows = [row for row in training_messages(data, random.Random(seed)) if row[0] not in unseen]
    embeddings = Embeddings(encoder, out)
    copies = Counter(message for message, _ in rows)
    fit = [row for row in rows if copies[row[0]] > 1 or not _is_held_out(row[0])]
    held = [row for row in rows if copies[row[0]] == 1 and _is_held_out(row[0])]
    trained = fit_router(
        embeddings.of([message for message, _ in fit]),
        [label for _, label in fit],
        held_out=(embeddings.of([message for message, _ in held]), [label for _, label in held]),
        shape=SMALL,
        seed=seed,
    )
    trained.write(out / "router.onnx", ENCODER_NAME)
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
    figures |= {"follow_ups": measure_follow_ups(router, embeddings, valid, data)}
    figures |= measure(router, embeddings, valid)
    with written_aside(out / "router_figures.json") as part:
        part.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return figures


def main() -> None:
    """Trains and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--encoder", type=Path, required=True, help="folder that tools.export_encoder wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", type=Path, help="measure this router instead, and write nothing but embeddings")
    arguments = parser.parse_args()
    if arguments.measure:
        router, embeddings = Router(arguments.measure, threads=1), Embeddings(arguments.encoder, arguments.out)
        valid = valid_messages(arguments.data)
        print(json.dumps(measure_follow_ups(router, embeddings, valid, arguments.data), indent=1))
        return
    figures = train(arguments.data, arguments.encoder, arguments.out, arguments.seed)
    print(json.dumps({name: value for name, value in figures.items() if name != "mistakes"}, indent=1))


if __name__ == "__main__":
    main()
