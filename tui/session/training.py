"""A training beside the conversation: one at a time, in a process of its own, told in the status line."""

from __future__ import annotations

import logging
import shlex
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlp_local.conversation_turn import error_text
from dlp_local.core.errors import InputError
from dlp_local.core.job import Job
from dlp_local.core.paths import packs_folder
from dlp_local.core.text import about_time, counted, time_text
from dlp_local.core.values import Lesson
from tui.messages import TrainingEnded
from tui.session.shared_state import SharedState

if TYPE_CHECKING:
    from dlp_local.training.adapter.events import TaskResult, Trained

_log = logging.getLogger(__name__)

StartTraining = Callable[[Path, str, Sequence[Lesson]], Job[Any]]
"""Trains an adapter of the pack in a folder from lessons; the job's events are those of `training.adapter.events`."""

CLOSE_SECONDS = 2.0
"""How long a training may take to end when the window is closed; its process then ends by itself."""


def train_adapter(pack: Path, adapter: str, lessons: Sequence[Lesson], system: str | None = None) -> Job[Any]:
    """The training of this machine; `system` is the system prompt of conversations without one of their own."""
    from dlp_local.training.adapter.lessons import train_from_lessons  # not before the first paint

    return train_from_lessons(pack, adapter, lessons, system)


class BackgroundTraining:
    """Runs a training in a thread of its own. Its methods are for other threads, and wait for nothing but `close`."""

    def __init__(self, start_training: StartTraining, state: SharedState) -> None:
        self._start_training, self._state = start_training, state
        self._lock = threading.Lock()
        self._job: Job[Any] | None = None
        self._thread: threading.Thread | None = None
        self._adapter = ""

    def start(self, pack: Path, adapter: str, lessons: Sequence[Lesson]) -> None:
        """Begins; raises `InputError` where one is running, and where there are no lessons."""
        if not lessons:
            raise InputError(f"there are no lessons for '{adapter}' yet. F8 on an answer makes one.")
        with self._lock:
            if self._job:
                raise InputError(f"'{self._adapter}' is being trained. /train stop ends that.")
            self._adapter, self._job = adapter, self._start_training(pack, adapter, lessons)
            self._state.update(training=f"{adapter} …")
            self._thread = threading.Thread(
                target=self._run, args=(self._job, adapter, pack), name="training", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Ends it, with what it reached kept; raises `InputError` where none is running."""
        with self._lock:
            if not self._job:
                raise InputError("no adapter is being trained. /train ADAPTER begins one.")
            self._job.cancel()

    def close(self) -> None:
        """Ends it with the window."""
        with self._lock:
            job, thread = self._job, self._thread
        if job and thread:
            job.cancel()
            thread.join(CLOSE_SECONDS)

    def _run(self, job: Job[Any], adapter: str, pack: Path) -> None:
        note = problem = ""
        try:
            for event in job:
                if is_last(event):
                    note = result_text(adapter, event, pack)
                elif text := progress_text(event):
                    self._state.update(training=f"{adapter} {text}")
        except Exception as error:
            _log.debug("a training failed", exc_info=True)
            problem = f"'{adapter}' was not trained: {error_text(error)}"
        with self._lock:
            self._job = None
        self._state.update(training="")
        self._state.post(TrainingEnded(note, problem))


def is_last(event: Any) -> bool:
    """Whether nothing follows it."""
    from dlp_local.training.adapter.events import Stopped, Trained

    return isinstance(event, Stopped | Trained)


def progress_text(event: Any) -> str:
    """`34 %, 2 min left`, or what else is being done; nothing for what says neither."""
    from dlp_local.training.adapter.events import FitProgress, Prepared, Stage

    match event:
        case Prepared() if event.seconds:
            return f"({about_time(event.seconds)})"
        case FitProgress():
            return f"{event.step / max(event.of_steps, 1):.0%}, {time_text(event.seconds_left)} left"
        case Stage():
            return f"({event.name})"
    return ""


def result_text(adapter: str, event: Any, pack: Path) -> str:
    """How a training ended, in a few lines."""
    from dlp_local.training.adapter.events import Stopped

    if isinstance(event, Stopped):
        where = f" at step {event.step} of {event.of_steps}" if event.of_steps else " before it began"
        return f"The training of {adapter} was stopped{where}. /train {adapter} goes on from there."
    return _trained_text(adapter, event, event.results[adapter], pack)


def _trained_text(adapter: str, trained: Trained, result: TaskResult, pack: Path) -> str:
    rows = next(iter(result.scores.values())).rows
    scores = ", ".join(f"{who} {score.exact:.0%}" for who, score in result.scores.items())
    name = pack.name if pack.parent == packs_folder() else str(pack)
    command = f"dlp-local adapters rollback {adapter} --pack {shlex.quote(name)}"
    back = f" `{command}` takes it back." if result.replaced else ""
    end = (
        f"{adapter} is in place, for the next message.{back}"
        if result.in_place
        else f"{adapter} is as it was, for {result.refused}. Teach it some more (F8), and train again."
    )
    return (
        f"Trained {adapter} in {time_text(trained.seconds)}, {counted(trained.steps, 'step')}.\n"
        f"Exactly right of {counted(rows, 'answer')} to judge by: {scores}.\n{end}"
    )
