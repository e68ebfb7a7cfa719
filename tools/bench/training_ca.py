"""What `--method ca` wins back on a backbone of few bits, against LoRA at the same steps.

    python -m tools.bench.training_ca --data DATA --out FILE.json [--pack bundled] [--kind Q2_K] [--task dates]

The pack's backbone is quantized again to `--kind`. On the same rows are trained: LoRA on the backbone itself and on the
one of few bits, anew and from the first one's adapter (`start`); and `ca` from that adapter, whose teacher is the
backbone itself under it. On valid rows: the mean loss a token of the answers, the share of rows whose every token is
the most probable one, as greedy answers have it, and the mean KL divergence of the answers' tokens from the backbone
itself with its adapter. Each figure is kept as it comes.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dlp_local.core.files import written_aside
from dlp_local.core.settings import Settings
from dlp_local.core.values import Message
from dlp_local.opening import settings_for
from dlp_local.packs.pack import open_pack
from dlp_local.training.adapter.backbone import Backbone, best_device
from dlp_local.training.adapter.batches import Example, all_once
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.encoding import open_row_encoder
from dlp_local.training.adapter.export import write_adapter
from dlp_local.training.adapter.fit import divergence
from dlp_local.training.adapter.methods.ca import Teacher
from dlp_local.training.adapter.methods.method import Factors
from dlp_local.training.adapter.rows import TrainingRow
from tools.bench.training import run_fit, summary
from tools.pack_figures import sample
from tools.recipes import RECIPES

OfWeight = Callable[[str], Factors]
BATCH = 512


def quantized(model: Path, out: Path, kind: str) -> Path:
    """The model in another type of GGUF's, such as Q2_K; tensors whose rows do not divide by 256 get a larger one."""
    from dlp_local.engine.local.library import lib

    silent = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(silent, ctypes.c_void_p(0))
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = getattr(lib, f"LLAMA_FTYPE_MOSTLY_{kind}"), True
    if lib.llama_model_quantize(os.fsencode(model), os.fsencode(out), ctypes.byref(params)):
        raise SystemExit(f"{model}: cannot be quantized to {kind}.")
    return out


class Bench:
    """A backbone, the same one of few bits, and the rows of a task."""

    def __init__(self, pack: str, task: str, kind: str, data: Path, folder: Path, rows: int, valid: int) -> None:
        self.recipe, self.task, self.data, self.rows, self.folder = RECIPES[pack], task, data, rows, folder
        opened = open_pack(Path(__file__).parents[2] / "models" / pack)
        self.paths = {"whole": opened.backbone_path, "low": quantized(opened.backbone_path, folder / "low.gguf", kind)}
        self.backbones = {name: Backbone(path, best_device()) for name, path in self.paths.items()}
        self.template = settings_for(opened, Settings.model_construct()).engine.chat_template
        with self._encoder() as encoder:
            wanted = sample(self.recipe.valid_rows(data, task), valid)
            self.valid = [
                encoder.encode(TrainingRow((Message("user", message),), of[0].answer)) for message, of in wanted.items()
            ]

    def _encoder(self) -> Any:
        return open_row_encoder(self.paths["whole"], self.template, "turn", "")

    def train(
        self, on: str, choices: Choices, out: Path, teacher: Teacher | None = None
    ) -> tuple[OfWeight, Sequence[float]]:
        """A training on one of the two backbones: its adapter, and the held-out losses."""
        rows = islice(self.recipe.adapter_set.rows(self.data, self.task, 4000 + choices.seed), self.rows)
        examples = [TrainingRow((Message("user", row.message),), row.answer) for row in rows]
        with self._encoder() as encoder, TemporaryDirectory() as folder:
            fitted, method = run_fit(self.backbones[on], encoder, examples, choices, Path(folder), teacher=teacher)
            write_adapter(method, 0, self.paths[on], out, invocation=encoder.invocation, precision="f32")
        return partial(method.factors, owners=0), fitted.held_out_losses

    def score(self, on: str, factors: OfWeight | None, like: Teacher) -> dict[str, float]:
        """Loss a token, rows answered exactly right, and KL from another model, of valid rows."""
        import torch
        from torch.nn import functional

        loss = kl = tokens = exact = 0.0
        for examples in _apart(self.valid):
            (batch,) = all_once(examples, 1 << 20)
            with torch.no_grad():
                logits, targets, _ = self.backbones[on].learned_logits(batch, factors)
                wanted = like.logits(batch)
            loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
            kl += float(divergence(wanted, logits).sum())
            tokens += len(targets)
            right, at = (logits.argmax(-1) == targets).tolist(), 0
            for example in sorted(examples, key=lambda one: -len(one.tokens)):
                count = len(example.tokens) - example.answer_at
                exact += all(right[at : at + count])
                at += count
        return {"loss": loss / tokens, "exact": 100 * exact / len(self.valid), "kl": kl / tokens}


def _apart(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples in groups of some tokens."""
    groups: list[list[Example]] = [[]]
    for example in examples:
        if sum(len(one.tokens) for one in groups[-1]) > BATCH:
            groups.append([])
        groups[-1].append(example)
    return groups


def measure(bench: Bench, seed: int, epochs: int) -> Mapping[str, Mapping[str, float]]:
    """Every way of one seed, by name."""
    folder, usual = bench.folder, Choices(seed=seed, epochs=epochs)
    adapter, _ = bench.train("whole", usual, folder / "whole.gguf")
    whole = Teacher(bench.backbones["whole"], adapter)
    start = folder / "whole.gguf"
    ca = replace(usual, method="ca", teacher=bench.paths["whole"], start=start)
    found = {
        "whole, bare": bench.score("whole", None, whole),
        "whole, lora": bench.score("whole", adapter, whole),
        "low, bare": bench.score("low", None, whole),
        "low, the whole one's lora": bench.score("low", adapter, whole),
    }
    ways: Mapping[str, tuple[Choices, Teacher | None]] = {
        "low, lora": (usual, None),
        "low, lora from start": (replace(usual, start=start), None),
        "low, ca": (ca, whole),
    }
    for name, (choices, teacher) in ways.items():
        trained, losses = bench.train("low", choices, folder / "low-adapter.gguf", teacher)
        found[name] = bench.score("low", trained, whole) | {"epochs": len(losses) - 1}
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pack", choices=sorted(RECIPES), default="bundled")
    parser.add_argument("--kind", default="Q2_K")
    parser.add_argument("--task", default="dates")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--valid", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    figures: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        bench = Bench(args.pack, args.task, args.kind, args.data, Path(folder), args.rows, args.valid)
        for seed in range(args.seeds):
            for name, figure in measure(bench, seed, args.epochs).items():
                figures.append({"way": name, "seed": seed, "task": args.task, "kind": args.kind} | dict(figure))
                print(json.dumps(figures[-1]), flush=True)
                with written_aside(args.out) as part:
                    part.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print("\n".join(summary(figures, ("way",), ("loss", "exact", "kl"))))


if __name__ == "__main__":
    main()
