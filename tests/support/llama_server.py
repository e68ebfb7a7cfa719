"""A real llama-server on a pack, started by the very line that `dlp-local engine command` prints."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tools.child_server import running

PROGRAM = os.environ.get("DLP_LOCAL_TEST_LLAMA_SERVER") or shutil.which("llama-server")
MISSING = "needs llama-server, on the PATH or named by DLP_LOCAL_TEST_LLAMA_SERVER"


@contextmanager
def started(line: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready, by its command line, until the end of the block."""
    assert PROGRAM
    words = shlex.split(line)
    url = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    with running([PROGRAM, *words[1:], "-t", "1"], url) as process:
        yield process
