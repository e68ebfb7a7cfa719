"""A training in a process of its own, which `process.train_in_process` starts and reads.

One line comes on stdin, the request; the events go out on stdout, a JSON object a line. The end of stdin, where the
other process is done with it or gone, stops the training, which keeps what it reached.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, TextIO

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.job import Job
from dlp_local.core.settings import load_settings
from dlp_local.training.adapter.events import event_json, request_of_json
from dlp_local.training.adapter.session import train_adapters


def main() -> None:
    """Reads the request, and trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is for the process that began this one
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no event
    request = request_of_json(json.loads(sys.stdin.readline()))
    try:
        job = train_adapters(request, load_settings())
        threading.Thread(target=_stop_at_the_end, args=(sys.stdin.fileno(), job), daemon=True).start()
        for event in job:
            _write(out, event_json(event))
    except DlpLocalError as error:
        _write(out, {"error": type(error).__name__, "message": str(error)})


def _stop_at_the_end(stdin: int, job: Job[Any]) -> None:
    """Waits for the end of stdin; at the file's own descriptor, for Python aborts while a thread reads `sys.stdin`."""
    while os.read(stdin, 1):
        pass
    job.cancel()


def _write(out: TextIO, values: dict[str, Any]) -> None:
    """Writes a line, unless nobody reads any more: what the training reached is kept all the same."""
    with suppress(BrokenPipeError):
        out.write(json.dumps(values, ensure_ascii=False) + "\n")
