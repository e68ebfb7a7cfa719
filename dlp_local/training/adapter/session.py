"""`adapters train` from rows to an adapter in its place: read, fit, judge, and put there what is better."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlp_local.assistant import Assistant
from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import file_sha256, temporary_folder
from dlp_local.core.job import Cancellation, Job, returned
from dlp_local.core.names import check_adapter_name
from dlp_local.core.settings import Settings
from dlp_local.formats.gguf import read_header
from dlp_local.opening import open_assistant, settings_for
from dlp_local.packs import open_pack
from dlp_local.packs.transaction import check_changeable, disk_errors_told
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.comparison import Comparison
from dlp_local.training.adapter.encoding import RowEncoder, open_row_encoder
from dlp_local.training.adapter.events import (
    FitProgress,
    Prepared,
    Stage,
    Stopped,
    Trained,
    TrainingEvent,
    TrainingRequest,
)
from dlp_local.training.adapter.fidelity import check_logits
from dlp_local.training.adapter.gguf_config import Numbers, family_of
from dlp_local.training.adapter.placement import place
from dlp_local.training.adapter.plan import free_memory, training_memory, training_work
from dlp_local.training.adapter.tasks import Task, read_task
from dlp_local.training.adapter.torch_extra import require_torch
from dlp_local.training.adapter.workspace import Workspace

if TYPE_CHECKING:
    from dlp_local.training.adapter.backbone import Backbone
    from dlp_local.training.adapter.fit import Fit, Fitted
    from dlp_local.training.adapter.methods.ca import Teacher
    from dlp_local.training.adapter.methods.method import Method

OPENING, LOADING = "opening the model", "loading the weights to train on"
CHECKED = 3
"""Held-out rows of each adapter whose next token is compared with llama.cpp's."""

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
        family_of(Numbers(self._backbone, read_header(self._backbone)))
        self._workspace = Workspace(self._pack.name, request.rows)

    def _check_names(self) -> None:
        names = list(self._request.rows)
        for name in names:
            check_adapter_name(name)
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
        with ExitStack() as stack, disk_errors_told(self._workspace.folder):
            encoder = stack.enter_context(self._open_encoder())
            tasks = [read_task(name, self._request, encoder) for name in self._request.rows]
            choices = self._request.choices.for_rows(
                max(len(task.train) for task in tasks),
                sum(task.told.tokens for task in tasks) / sum(task.told.train for task in tasks),
            )
            stack.enter_context(self._workspace.held())
            yield self._prepare(tasks, choices)
            comparison = Comparison(tasks, self._request, self._cancellation)
            folder = stack.enter_context(temporary_folder())
            trained = yield from self._train(tasks, choices, encoder, comparison, folder)
            if trained is None:
                return
            fitted, files = trained
            with self._open_assistant() as assistant:
                yield from comparison.of_files(assistant, files, self._pack.manifest)
                if self._has_changed():
                    yield from comparison.of_pack(assistant)
            if self._cancellation.requested:
                yield Stopped(fitted.steps, fitted.steps)
                return
            yield Stage("looking at the routing", 0.0)
            results = place(self._request, self._pack, tasks, files, comparison.scores)
            if all(result.in_place for result in results.values()):
                self._workspace.end()  # else it is there for --finish --force
            seconds = time.monotonic() - self._began
            yield Trained(
                results, fitted.held_out_losses, fitted.steps, fitted.seconds, fitted.tokens_per_second, seconds,
                fitted.ended,
            )  # fmt: skip

    def _open_assistant(self) -> Assistant:
        return open_assistant(self._settings.for_comparison(), self._request.pack)

    def _open_encoder(self) -> AbstractContextManager[RowEncoder]:
        engine = self._settings.engine
        return open_row_encoder(
            self._backbone, engine.chat_template, self._request.choices.scope, self._system, engine.context
        )

    def _prepare(self, tasks: Sequence[Task], choices: Choices) -> Prepared:
        """Looks whether there is a training to go on from, and keeps what this one is of."""
        from dlp_local.training.adapter.backbone import best_device
        from dlp_local.training.adapter.speed import about_seconds

        device, train = best_device(), [task.train_tokens for task in tasks]
        memory = training_memory(self._backbone, choices, train)
        free = free_memory(memory)
        made_of, workspace = self._fingerprint(tasks, choices), self._workspace
        was_begun = workspace.is_begun
        resumed = was_begun and workspace.is_of(made_of) and not self._request.restart
        if self._request.finish and not resumed:
            raise InputError("--finish: there is no stopped training of these rows and choices. Leave it out.")
        if not resumed:
            workspace.begin(made_of)
        for task in () if self._request.lessons else tasks:
            workspace.keep_rows(task.name, (*task.train, *task.held_out))
        told = {task.name: task.told for task in tasks}
        dropped = was_begun and not resumed and not self._request.restart
        work = training_work(self._backbone, choices, train, [task.held_out_tokens for task in tasks])
        seconds = 0.0 if resumed else about_seconds(work, choices.batch_tokens, device)
        return Prepared(told, choices, device, memory, free, resumed, dropped, seconds)

    def _fingerprint(self, tasks: Sequence[Task], choices: Choices) -> str:
        rows = hashlib.sha256(repr([(task.name, task.train_tokens, task.held_out_tokens) for task in tasks]).encode())
        made_of = {"rows": rows.hexdigest(), "backbone": self._pack.manifest.backbone.sha256}
        for name in ("start", "teacher"):
            path = getattr(choices, name)
            if path is not None and path.is_file():
                made_of[name] = file_sha256(path)
        return json.dumps(made_of | {"choices": choices.as_dict()}, indent=1)

    def _has_changed(self) -> bool:
        """Whether somebody changed the pack meanwhile; raises `PackError` for another backbone."""
        now = open_pack(self._request.pack)
        if now.manifest.backbone != self._pack.manifest.backbone:
            raise PackError(f"{now.folder}: got another backbone while adapters of it were trained. Train them again.")
        if now.manifest == self._pack.manifest:
            return False
        self._pack = now
        return True

    def _train(
        self, tasks: Sequence[Task], choices: Choices, encoder: RowEncoder, comparison: Comparison, folder: Path
    ) -> Generator[TrainingEvent, None, tuple[Fitted, dict[str, Path]] | None]:
        """Trains, and writes the adapters into a folder; None where it was stopped.

        The engine is not open meanwhile, and at its end what torch holds is given back: both together would take half
        as much memory again.
        """
        from dlp_local.training.adapter.methods import make_method

        backbone = yield from self._open_backbone(tasks, encoder, comparison)
        if backbone is None:
            yield Stopped(0, 0)
            return None
        method = make_method(choices, backbone.weights, [task.name for task in tasks], backbone.device)
        fitted = yield from self._fit(backbone, method, tasks, choices)
        if fitted.ended == "cancelled":
            return None
        return fitted, self._write(method, tasks, choices, encoder, fitted, folder)

    def _open_backbone(
        self, tasks: Sequence[Task], encoder: RowEncoder, comparison: Comparison
    ) -> Generator[Stage, None, Backbone | None]:
        """The backbone in torch, loaded while held-out rows are answered as they are today; None where it was stopped.

        Raises `PackError` where it is not computed as llama.cpp does.
        """
        yield Stage(OPENING, 0.0)
        with self._open_assistant() as assistant, ThreadPoolExecutor(1, "backbone") as threads:
            loading = threads.submit(_open_backbone, self._backbone)
            yield from comparison.of_base(assistant)
            yield from comparison.of_pack(assistant)
            yield Stage(LOADING, 0.0)
            backbone = loading.result()
            if self._cancellation.requested:
                return None
            checked = [row for task in tasks for row in task.held_out[:CHECKED]]
            check_logits(backbone, assistant, encoder, checked, self._request.system)
            yield Stage(LOADING, 1.0)
            return backbone

    def _fit(
        self, backbone: Backbone, method: Method, tasks: Sequence[Task], choices: Choices
    ) -> Generator[FitProgress | Stopped, None, Fitted]:
        from dlp_local.training.adapter.export import read_adapter
        from dlp_local.training.adapter.fit import Fit
        from dlp_local.training.adapter.methods.lora import Lora

        if choices.start and isinstance(method, Lora):
            method.start_from(read_adapter(choices.start, self._backbone))
        teacher = _open_teacher(choices.teacher, choices.start) if choices.teacher and choices.start else None
        fit = Fit(
            backbone,
            method,
            [task.train_tokens for task in tasks],
            [task.held_out_tokens for task in tasks],
            choices,
            self._workspace.training,
            teacher,
        )
        if self._request.finish:
            return replace(_finished(fit), ended="early")
        fitted: Fitted = yield from fit.run(self._cancellation)
        if fitted.ended == "cancelled":
            yield Stopped(fitted.steps, fit.of_steps)
        return fitted

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
            training = {"rows": task.told.train, "steps": fitted.steps, "choices": choices.told()}
            about = {"name": task.name, "training": json.dumps(training)}
            write_adapter(
                method, index, self._backbone, files[task.name], invocation=encoder.invocation, metadata=about
            )
        return files


def _finished(fit: Fit) -> Fitted:
    """What a training reached, without another step."""
    cancellation = Cancellation()
    cancellation.request()
    return returned(fit.run(cancellation))


def _open_teacher(path: Path, adapter: Path) -> Teacher:
    from dlp_local.training.adapter.export import read_adapter
    from dlp_local.training.adapter.methods.ca import Teacher

    return Teacher(_open_backbone(path), read_adapter(adapter, path).get)


def _open_backbone(path: Path) -> Backbone:
    from dlp_local.training.adapter.backbone import Backbone, best_device

    return Backbone(path, best_device())
