"""`adapters train` from rows to an adapter in its place: read, fit, judge, and put there what is better."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlp_local.assistant import Assistant
from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, temporary_folder, written_aside
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.paths import training_folder
from dlp_local.core.settings import Settings
from dlp_local.core.values import AdapterChange, AdapterFile, Mix
from dlp_local.opening import open_assistant, settings_for
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter
from dlp_local.packs.locations import check_name
from dlp_local.packs.transaction import check_changeable, disk_errors_told
from dlp_local.training.adapter import judging
from dlp_local.training.adapter.acceptance import BASE_NAME, NEW, PRESENT, refusal
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.encoding import RowEncoder, open_row_encoder
from dlp_local.training.adapter.events import (
    FitProgress,
    Prepared,
    Score,
    Stage,
    Stopped,
    TaskResult,
    Trained,
    TrainingEvent,
    TrainingRequest,
)
from dlp_local.training.adapter.fidelity import check_logits
from dlp_local.training.adapter.plan import training_memory
from dlp_local.training.adapter.routing_effect import RoutingJudge
from dlp_local.training.adapter.rows import write_rows
from dlp_local.training.adapter.tasks import Task, read_task
from dlp_local.training.adapter.torch_extra import require_torch

if TYPE_CHECKING:
    from dlp_local.training.adapter.fit import Fitted
    from dlp_local.training.adapter.methods.method import Method

TRIAL = "adapter-in-training"
"""What a new adapter is called in the engine until it is in place."""

CHECKED = 3
"""Held-out rows of each adapter whose next token is compared with llama.cpp's."""

ROWS_FILE, REQUEST_FILE = "{name}.jsonl", "request.json"

Events = Generator[TrainingEvent, None, None]


def train_adapters(request: TrainingRequest, settings: Settings) -> Job[TrainingEvent]:
    """A training as a job: `Prepared`, `Stage`…, `FitProgress`…, and `Trained` or `Stopped` at the end.

    Raises `InputError` for rows and choices that cannot be used, `PackError` for a pack that cannot be changed or a
    backbone that cannot be trained on, `EngineError`; the pack then is as it was.
    """

    def run(cancellation: Cancellation) -> Events:
        yield from _Session(request, settings, cancellation).run()

    return Job(run)


class _Session:
    def __init__(self, request: TrainingRequest, settings: Settings, cancellation: Cancellation) -> None:
        self._request, self._cancellation = request, cancellation
        self._began = time.monotonic()
        self._check_names()
        check_changeable(request.pack)
        require_torch()
        self._pack = open_pack(request.pack)
        self._settings = settings_for(self._pack, settings)
        self._system = settings.system if request.system is None else request.system
        self._backbone = self._pack.backbone_path
        self._folder = training_folder(self._pack.name, request.rows)

    def _check_names(self) -> None:
        names = list(self._request.rows)
        for name in names:
            check_name(name, "adapter")
        if self._request.choices.is_of_several:
            if len(names) < 2:
                raise InputError(
                    f"method {self._request.choices.method}: trains several adapters at once. Give a name and rows of "
                    "each, or use --method lora."
                )
        elif len(names) > 1:
            raise InputError(
                f"method {self._request.choices.method}: trains one adapter. Use --method flora for several at once."
            )
        if self._request.held_out and len(names) > 1:
            raise InputError("--held-out: is for one adapter. Leave it out, and a part of each one's rows is held out.")

    def run(self) -> Events:
        with ExitStack() as stack, disk_errors_told(self._folder.parent):
            encoder = stack.enter_context(
                open_row_encoder(
                    self._backbone, self._settings.engine.chat_template, self._request.choices.scope, self._system
                )
            )
            tasks = [read_task(name, self._request, encoder) for name in self._request.rows]
            choices = self._request.choices.for_rows(max(len(task.train) for task in tasks))
            yield self._prepare(tasks, choices)
            yield Stage("opening the model", 0.0)
            assistant = stack.enter_context(open_assistant(self._settings.for_many(), self._request.pack))
            threads = stack.enter_context(ThreadPoolExecutor(1, "backbone"))
            loading = threads.submit(_open_backbone, self._backbone)
            scores = {task.name: dict[str, Score]() for task in tasks}
            for task in tasks:
                for policy, mix in ((BASE_NAME, Mix()), (PRESENT, None)):
                    scores[task.name][policy] = yield from self._judge(assistant, task, policy, mix)
            yield Stage("opening the model", 0.5)
            backbone = loading.result()
            if self._cancellation.requested:
                yield Stopped(0, 0)
                return
            checked = [row for task in tasks for row in task.held_out[:CHECKED]]
            check_logits(backbone, assistant, encoder, checked, self._request.system)
            yield Stage("opening the model", 1.0)
            from dlp_local.training.adapter.methods import make_method

            method = make_method(choices, backbone.weights, [task.name for task in tasks], backbone.device)
            fitted = yield from self._fit(backbone, method, tasks, choices)
            if fitted.ended == "cancelled":
                return
            folder = stack.enter_context(temporary_folder())
            files = self._write(method, tasks, choices, encoder, fitted, folder)
            for task in tasks:
                assistant.try_adapter(AdapterFile(TRIAL, files[task.name], scope=choices.scope))
                scores[task.name][NEW] = yield from self._judge(assistant, task, NEW, Mix.of({TRIAL: 1.0}))
            if self._cancellation.requested:
                yield Stopped(fitted.steps, fitted.steps)
                return
            yield Stage("looking at the routing", 0.0)
            results = self._place(tasks, files, scores)
            shutil.rmtree(self._folder / "training", ignore_errors=True)
            seconds = time.monotonic() - self._began
            yield Trained(
                results, fitted.held_out_losses, fitted.steps, fitted.seconds, fitted.tokens_per_second, seconds,
                fitted.ended,
            )  # fmt: skip

    def _prepare(self, tasks: Sequence[Task], choices: Choices) -> Prepared:
        """Looks whether there is a training to go on from, and keeps what this one is of."""
        from dlp_local.training.adapter.backbone import best_device

        made_of = self._fingerprint(tasks, choices)
        file = self._folder / REQUEST_FILE
        before = file.read_text("utf-8") if file.exists() else ""
        training = self._folder / "training"
        if before != made_of or self._request.restart:
            shutil.rmtree(training, ignore_errors=True)
        resumed = training.exists()
        if self._request.finish and not resumed:
            raise InputError("--finish: there is no stopped training of these rows and choices. Leave it out.")
        make_folder(self._folder)
        with written_aside(file) as part:
            part.write_text(made_of, "utf-8")
        for task in tasks:
            write_rows(self._folder / ROWS_FILE.format(name=task.name), (*task.train, *task.held_out))
        memory = training_memory(self._backbone, choices, [task.train_tokens for task in tasks])
        return Prepared({task.name: task.told for task in tasks}, choices, best_device(), memory, resumed)

    def _fingerprint(self, tasks: Sequence[Task], choices: Choices) -> str:
        rows = hashlib.sha256(repr([(task.name, task.train_tokens, task.held_out_tokens) for task in tasks]).encode())
        made_of = {"rows": rows.hexdigest(), "backbone": self._pack.manifest.backbone.sha256}
        return json.dumps(made_of | {"choices": choices.as_dict()}, indent=1)

    def _judge(self, assistant: Assistant, task: Task, policy: str, mix: Mix | None) -> Generator[Stage, None, Score]:
        """Answers an adapter's held-out rows under a mix, or as they are routed."""
        yield Stage(f"answering held-out rows: {policy}", 0.0)
        given = judging.answers(
            assistant, task.held_out, mix, task.max_tokens, self._cancellation, self._request.system
        )
        yield Stage(f"answering held-out rows: {policy}", 1.0)
        return judging.score(given, task.held_out)

    def _fit(
        self, backbone: Any, method: Method, tasks: Sequence[Task], choices: Choices
    ) -> Generator[FitProgress | Stopped, None, Fitted]:
        from dlp_local.training.adapter.export import read_adapter
        from dlp_local.training.adapter.fit import Fit
        from dlp_local.training.adapter.methods.lora import Lora

        if choices.start and isinstance(method, Lora):
            method.start_from(read_adapter(choices.start, self._backbone))
        teacher = _open_backbone(choices.teacher) if choices.teacher else None
        fit = Fit(
            backbone,
            method,
            [task.train_tokens for task in tasks],
            [task.held_out_tokens for task in tasks],
            choices,
            self._folder / "training",
            teacher,
        )
        fitted: Fitted = yield from fit.run(_FINISHED if self._request.finish else self._cancellation)
        if fitted.ended == "cancelled" and not self._request.finish:
            yield Stopped(fitted.steps, fit.of_steps)
        return replace(fitted, ended="early") if self._request.finish else fitted

    def _write(
        self,
        method: Method,
        tasks: Sequence[Task],
        choices: Choices,
        encoder: RowEncoder,
        fitted: Fitted,
        folder: Path,
    ) -> dict[str, Path]:
        """Each adapter as a GGUF file, with what it was made of and by in its header."""
        from dlp_local.training.adapter.export import write_adapter

        files = {}
        for index, task in enumerate(tasks):
            files[task.name] = folder / f"{task.name}.gguf"
            training = {"rows": task.told.train, "choices": choices.as_dict(), "steps": fitted.steps}
            about = {"name": task.name, "training": json.dumps(training)}
            write_adapter(
                method, index, self._backbone, files[task.name], invocation=encoder.invocation, metadata=about
            )
        return files

    def _place(
        self, tasks: Sequence[Task], files: Mapping[str, Path], scores: Mapping[str, Mapping[str, Score]]
    ) -> dict[str, TaskResult]:
        """Puts what is better in its place, with the messages that the router is to know it by."""
        judge = RoutingJudge(self._pack, [task.name for task in tasks])
        examples = judge.examples({task.name: [row.prompt for row in task.train] for task in tasks})
        effects = judge.effects(examples, {task.name: [row.prompt for row in task.held_out] for task in tasks})
        results = {}
        for task in tasks:
            effect = effects[task.name]
            refused = refusal(scores[task.name], effect)
            in_place = not refused or self._request.force
            if in_place:
                self._put(task.name, files[task.name], examples[task.name])
            results[task.name] = TaskResult(scores[task.name], effect, refused, in_place)
        return results

    def _put(self, name: str, file: Path, examples: Sequence[str]) -> None:
        known = self._pack.manifest.adapters.get(name)
        rows = self._folder / f"{name}.examples.jsonl"
        with written_aside(rows) as part:
            lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in examples)
            part.write_text("".join(lines), "utf-8")
        description = self._request.description or (known.description if known else "") or "trained on this machine"
        change = AdapterChange(description=description, scope=self._request.choices.scope, examples=rows)
        add_adapter(self._request.pack, file, name, change, replace=True, keep_before=True)
        rows.unlink(missing_ok=True)


def _finished() -> Cancellation:
    cancellation = Cancellation()
    cancellation.request()
    return cancellation


_FINISHED = _finished()


def _open_backbone(path: Path) -> Any:
    from dlp_local.training.adapter.backbone import Backbone, best_device

    return Backbone(path, best_device())
