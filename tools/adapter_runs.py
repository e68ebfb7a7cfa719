"""Runs of the trainer of `adapters train`, each kept in a folder of its own: one that was cut goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlp_local.core.files import file_sha256, make_folder, written_aside
from dlp_local.core.job import Cancellation, returned
from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.encoding import RowEncoder

if TYPE_CHECKING:
    from dlp_local.training.adapter.backbone import Backbone
    from dlp_local.training.adapter.events import FitProgress
    from dlp_local.training.adapter.fit import Fit, Fitted

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one adapter in tokens: to train on, and held out."""

    train: list[Example]
    held_out: list[Example]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run trained: the PEFT folder of each adapter, and the run's figures."""

    folders: Mapping[str, Path]
    figures: dict[str, Any]


class AdapterRuns:
    """Trains adapters for one backbone, which is loaded only where there is something to train."""

    def __init__(self, backbone: Path, folder: Path) -> None:
        self._path, self._folder = backbone, folder

    @cached_property
    def device(self) -> str:
        """Where it computes."""
        from dlp_local.training.adapter.backbone import best_device

        return best_device()

    @cached_property
    def _backbone(self) -> Backbone:
        from dlp_local.training.adapter.backbone import Backbone

        return Backbone(self._path, self.device)

    def run(self, rows: Mapping[str, Rows], choices: Choices, encoder: RowEncoder) -> Run:
        """A run of the adapters of these rows, or what is kept of it."""
        tokens = [(name, of_name.train, of_name.held_out) for name, of_name in rows.items()]
        start = file_sha256(choices.start) if choices.start else None
        own = choices.as_dict() | {"start": start}
        made_of = json.dumps([file_sha256(self._path), own, hashlib.sha256(repr(tokens).encode()).hexdigest()])
        folder = self._folder / hashlib.sha256(made_of.encode()).hexdigest()[:16]
        folders, kept = {name: folder / name for name in rows}, folder / RUN_FILE
        if not kept.exists():
            figures = self._trained(rows, choices, encoder, folders, folder / "begun")
            with written_aside(kept) as aside:
                aside.write_text(json.dumps(figures, indent=1) + "\n", "utf-8", newline="\n")
            shutil.rmtree(folder / "begun", ignore_errors=True)
        return Run(folders, json.loads(kept.read_text("utf-8")))

    def _trained(
        self, rows: Mapping[str, Rows], choices: Choices, encoder: RowEncoder, folders: Mapping[str, Path], begun: Path
    ) -> dict[str, Any]:
        """Trains and writes the adapters; gives the figures of that."""
        from dlp_local.training.adapter.export import read_adapter, write_peft_folder
        from dlp_local.training.adapter.fit import Fit
        from dlp_local.training.adapter.methods import make_method
        from dlp_local.training.adapter.methods.lora import Lora

        backbone, names = self._backbone, list(rows)
        method = make_method(choices, backbone.weights, names, backbone.device)
        if choices.start and isinstance(method, Lora):
            method.start_from(read_adapter(choices.start, self._path))
        train, held_out = ([getattr(of_name, side) for of_name in rows.values()] for side in ("train", "held_out"))
        fitted = _fitted(Fit(backbone, method, train, held_out, choices, begun))
        for index, folder in enumerate(folders.values()):
            make_folder(folder)
            write_peft_folder(method, index, folder, encoder.invocation)
        return {
            "adapters": names,
            "rank": choices.rank,
            "rows": {name: len(examples) for name, examples in zip(names, train, strict=True)},
            "epochs": choices.epochs,
            "steps": fitted.steps,
            "ended": fitted.ended,
            "held_out_loss": {
                "base": round(fitted.held_out_losses[0], 4),
                "least": round(min(fitted.held_out_losses[1:], default=fitted.held_out_losses[0]), 4),
            },
            "seconds": round(fitted.seconds, 1),
            "tokens_per_second": round(fitted.tokens_per_second, 1),
            "device": backbone.device,
        }


def _fitted(fit: Fit) -> Fitted:
    """Runs a training to its end, and says how far it is at the end of each epoch, and at times within it."""
    told = (-1, -1)

    def tell(progress: FitProgress) -> None:
        nonlocal told
        if (now := (progress.epoch, 20 * progress.step // progress.of_steps)) != told:
            told = now
            print(
                f"    step {progress.step:,} of {progress.of_steps:,}, held-out loss {progress.held_out_loss:.3f}, "
                f"{progress.tokens_per_second:.0f} tokens a second",
                file=sys.stderr,
                flush=True,
            )

    return returned(fit.run(Cancellation()), tell)
