"""A real llama-server on a pack, started by the very line that `dlp-local engine command` prints."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = os.environ.get("DLP_LOCAL_TEST_LLAMA_SERVER") or shutil.which("llama-server")
MISSING = "needs llama-server, on the PATH or named by DLP_LOCAL_TEST_LLAMA_SERVER"
PATIENCE = 60.0


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running(line: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready, by its command line, until the end of the block."""
    assert PROGRAM
    words = shlex.split(line)
    url = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    with log.open("wb") as out:
        process = subprocess.Popen([PROGRAM, *words[1:], "-t", "1"], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _is_ready(url):
            assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
            assert time.monotonic() < deadline, "llama-server does not become ready"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
