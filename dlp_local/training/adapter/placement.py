"""Trained adapters come into their pack, if they may, with the messages that the router is to know them by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlp_local.core.files import temporary_folder
from dlp_local.core.values import AdapterChange
from dlp_local.packs import Pack
from dlp_local.packs.adapters import add_adapter
from dlp_local.training.adapter.acceptance import refusal
from dlp_local.training.adapter.events import Score, TaskResult, TrainingRequest
from dlp_local.training.adapter.routing_effect import LearntRouting, RoutingJudge
from dlp_local.training.adapter.tasks import Task
from dlp_local.training.router.write import encoder_name

DESCRIPTION = "trained on this machine"


def place(
    request: TrainingRequest,
    pack: Pack,
    tasks: Sequence[Task],
    files: Mapping[str, Path],
    scores: Mapping[str, Mapping[str, Score]],
) -> dict[str, TaskResult]:
    """Puts each adapter's file in its place that is better, or all by force; the one before it is kept.

    Raises `PackError` where the pack cannot be changed.
    """
    judge = RoutingJudge(pack, [task.name for task in tasks])
    prompts = {task.name: [*_known(request, pack, task.name), *(row.prompt for row in task.train)] for task in tasks}
    learnt = judge.learn(prompts, {task.name: [row.prompt for row in task.held_out] for task in tasks})
    results = {}
    for task in tasks:
        name = task.name
        refused = refusal(scores[name], learnt[name].effect)
        in_place = not refused or request.force
        if in_place:
            _put(request, pack, name, files[name], learnt[name])
        replaced = in_place and name in pack.manifest.adapters
        results[name] = TaskResult(scores[name], learnt[name].effect, refused, in_place, replaced)
    return results


def _known(request: TrainingRequest, pack: Pack, name: str) -> tuple[str, ...]:
    """The messages that the router knows an adapter by, where lessons are to leave it those."""
    return pack.examples(name) if request.lessons and name in pack.manifest.adapters else ()


def _put(request: TrainingRequest, pack: Pack, name: str, file: Path, learnt: LearntRouting) -> None:
    known = pack.manifest.adapters.get(name)
    is_off = known is not None and not known.enabled
    with temporary_folder() as folder:
        rows = folder / f"{name}.jsonl"
        lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in learnt.examples)
        rows.write_text("".join(lines), "utf-8")
        detector = folder / f"{name}.onnx"
        if learnt.detector:
            learnt.detector.write(detector, encoder_name(pack.manifest.encoder.sha256), is_small=True)
        change = AdapterChange(
            description=request.description or (known.description if known else "") or DESCRIPTION,
            scope=request.choices.scope,
            enabled=True if is_off else None,
            examples=rows if learnt.examples else None,
            detector=detector if learnt.detector else None,
        )
        add_adapter(pack.folder, file, name, change, replace=True, keep_before=True)
