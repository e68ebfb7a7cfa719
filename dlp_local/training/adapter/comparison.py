"""Held-out rows of the adapters in training, answered through the product: by base, by the pack as it is, by them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from dlp_local.assistant import Assistant
from dlp_local.core.job import Cancellation
from dlp_local.core.values import AdapterFile, Mix
from dlp_local.packs.manifest import Manifest
from dlp_local.training.adapter import judging
from dlp_local.training.adapter.acceptance import BASE_NAME, NEW, PRESENT
from dlp_local.training.adapter.events import Score, Stage, TrainingRequest
from dlp_local.training.adapter.tasks import Task

TRIAL = "adapter-in-training"
"""What a new adapter is called in the engine until it is in place."""


class Comparison:
    """Scores by adapter, and by what answered; where it is cancelled, those that are missing are of empty answers."""

    def __init__(self, tasks: Sequence[Task], request: TrainingRequest, cancellation: Cancellation) -> None:
        self._tasks, self._request, self._cancellation = tasks, request, cancellation
        self.scores: dict[str, dict[str, Score]] = {task.name: {} for task in tasks}

    def of_base(self, assistant: Assistant) -> Generator[Stage, None, None]:
        """The bare backbone."""
        for task in self._tasks:
            yield from self._judge(assistant, task, BASE_NAME, Mix())

    def of_pack(self, assistant: Assistant) -> Generator[Stage, None, None]:
        """Each row under the mix that the pack routes it to."""
        for task in self._tasks:
            yield from self._judge(assistant, task, PRESENT, None)

    def of_files(
        self, assistant: Assistant, files: Mapping[str, Path], manifest: Manifest
    ) -> Generator[Stage, None, None]:
        """Each adapter's file, at the strength that it will have in the pack."""
        for task in self._tasks:
            known = manifest.adapters.get(task.name)
            scale = known.scale if known else 1.0
            assistant.try_adapter(AdapterFile(TRIAL, files[task.name], scale, self._request.choices.scope))
            yield from self._judge(assistant, task, NEW, Mix.of({TRIAL: 1.0}))

    def _judge(self, assistant: Assistant, task: Task, policy: str, mix: Mix | None) -> Generator[Stage, None, None]:
        name = f"answering held-out rows: {policy}"
        yield Stage(name, 0.0)
        told = judging.answering(
            assistant, task.held_out, mix, task.max_tokens, self._cancellation, self._request.system
        )
        while True:
            try:
                yield Stage(name, next(told) / len(task.held_out))
            except StopIteration as end:
                self.scores[task.name][policy] = judging.score(end.value, task.held_out)
                return
