"""A server of another program in a process of its own: on a free port, ready to answer, and ended after use."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

PATIENCE = 120.0
"""Seconds that one may take to start."""

_SHOWN = 2000
"""Bytes of the end of its output that are shown where it does not start."""


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], url: str, environment: Mapping[str, str] | None = None, patience: float = PATIENCE
) -> Iterator[subprocess.Popen[bytes]]:
    """The server's process once `/health` answers; ends the program with the end of its output where it does not."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | (environment or {}))
        try:
            deadline = time.monotonic() + patience
            while not _is_ready(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(max(0, log.seek(0, os.SEEK_END) - _SHOWN))
                    raise SystemExit(f"{command[0]} does not start: {log.read().decode('utf-8', 'replace')}")
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_ready(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
