"""A training from lessons, answers that were mended in the chat: the adapter that is in place is trained further."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import temporary_folder
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.paths import training_folder
from dlp_local.core.values import Lesson
from dlp_local.formats.lora import read_lora
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.pack import Pack
from dlp_local.training.adapter.choices import CONTINUED, Choices
from dlp_local.training.adapter.events import TrainingEvent, TrainingRequest
from dlp_local.training.adapter.process import train_in_process
from dlp_local.training.adapter.rows import FEWEST, TrainingRow, kept_rows, write_rows

GENTLER = 0.5
"""Times the usual learning rate: at that one, an adapter that is trained further loses more of what it knew."""


def lesson_rows(lessons: Sequence[Lesson]) -> list[TrainingRow]:
    """Lessons as rows; where an answer was mended several times, the last time counts."""
    newest = {lesson.messages: lesson.right.strip() for lesson in lessons if lesson.messages}
    return [TrainingRow(messages, right) for messages, right in newest.items()]


@contextmanager
def lessons_request(
    pack: Path, name: str, lessons: Sequence[Lesson], choices: Choices, own: Path | None = None
) -> Iterator[TrainingRequest]:
    """The request to train an adapter from lessons, which can be used within the block.

    `own`: rows of its own, in place of those of its last training, where they are kept. Raises `InputError` for too few
    lessons, and `PackError` for a pack or an adapter that cannot be read.
    """
    rows = lesson_rows(lessons)
    manifest = read_manifest(pack)
    replay = own or _last_rows(manifest.name, name)
    if not rows or (len(rows) < FEWEST and not replay):
        least = 1 if replay else FEWEST
        raise InputError(
            f"training '{name}' from lessons needs {least} of them, and there {'is' if len(rows) == 1 else 'are'} "
            f"{len(rows)}. In the chat, F8 on an answer makes one; where rows of its own are given, a few are enough."
        )
    if (adapter := manifest.adapters.get(name)) and choices.method in CONTINUED and not choices.start:
        file = Pack(pack, manifest).path(adapter)
        rank = max(choices.rank, *(pair.b.shape[0] for pair in read_lora(file).pairs.values()))
        choices = replace(choices, start=file, rank=rank, scope=adapter.scope, rate=choices.rate * GENTLER)
    with temporary_folder() as folder:
        file = folder / f"{name}.lessons.jsonl"
        write_rows(file, rows)
        yield TrainingRequest(pack, {name: file}, choices, lessons=True, replay=replay)


def _last_rows(pack: str, name: str) -> Path | None:
    """The rows of an adapter's last training, alone or with others."""
    folders = training_folder(pack, [name]).parent.glob("*")
    files = [file for folder in folders if (file := kept_rows(folder, name)).is_file()]
    return max(files, key=lambda file: file.stat().st_mtime, default=None)


def train_from_lessons(
    pack: Path, name: str, lessons: Sequence[Lesson], system: str | None = None
) -> Job[TrainingEvent]:
    """A training from lessons beside what runs, as `process.train_in_process`; it raises as that and the request do."""

    def run(cancellation: Cancellation) -> Generator[TrainingEvent, None, None]:
        with lessons_request(pack, name, lessons, Choices()) as request:
            job = train_in_process(replace(request, system=system))
            with closing(job), cancellation.forwarded(job.cancel):
                yield from job

    return Job(run)
