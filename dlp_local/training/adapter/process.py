"""A training that runs beside a chat or a server, in a process of its own: torch is never loaded there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from functools import partial
from typing import IO

from dlp_local.core import errors
from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.core.job import Cancellation, Job
from dlp_local.training.adapter.events import (
    Stopped,
    Trained,
    TrainingEvent,
    TrainingRequest,
    event_of_json,
    request_json,
)

_START = "import sys; sys.path = {path!r}; from dlp_local.training.adapter.child import main; main()"
"""The other process imports from where this one does, and from no folder that it happens to be in."""

LOG_LINES = 5
"""The last lines of what a process that died wrote, to be told."""


def train_in_process(request: TrainingRequest) -> Job[TrainingEvent]:
    """A training as `session.train_adapters` is one, with the same events and errors, in another process.

    Cancelled, it ends as soon as it has kept what it reached. Raises `EngineError` where the process dies.
    """
    return Job(lambda cancellation: _events(request, cancellation))


def _events(request: TrainingRequest, cancellation: Cancellation) -> Generator[TrainingEvent, None, None]:
    path = [entry for entry in sys.path if isinstance(entry, str)]
    command = [sys.executable, "-c", _START.format(path=path)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8"
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        stop = partial(_close, child.stdin)
        try:
            with contextlib.suppress(OSError):  # it is gone already, and its output tells
                child.stdin.write(json.dumps(request_json(request)) + "\n")
                child.stdin.flush()
            is_over = False
            with cancellation.forwarded(stop):
                for line in child.stdout:
                    values = json.loads(line)
                    if "error" in values:
                        raise _error(values["error"])(values["message"])
                    event = event_of_json(values)
                    is_over = isinstance(event, Trained | Stopped)
                    yield event
            if not is_over:
                log.seek(0)
                said = "".join(log.readlines()[-LOG_LINES:]).strip() or "it said nothing"
                raise EngineError(f"the training's process ended ({said}). Train again: it goes on from there.")
        finally:
            stop()


def _close(stdin: IO[str]) -> None:
    """Ends the process's input, which stops the training."""
    with contextlib.suppress(OSError, ValueError):
        stdin.close()


def _error(name: str) -> type[DlpLocalError]:
    kind = getattr(errors, name, DlpLocalError)
    return kind if isinstance(kind, type) and issubclass(kind, DlpLocalError) else DlpLocalError
