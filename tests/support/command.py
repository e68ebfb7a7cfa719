"""The command line in a process of its own."""

import os
import subprocess
import sys

COMMAND = [sys.executable, "-m", "dlp_local"]


def run(*args, stdin=b"", **env):
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        input=stdin, capture_output=True, timeout=120, env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
    )  # fmt: skip


def out(*args, **env):
    process = run(*args, **env)
    assert process.returncode == 0, process.stderr.decode()
    return process.stdout.decode()


def refused(code, *args, **env):
    process = run(*args, **env)
    assert process.returncode == code, process.stderr.decode()
    assert b"Traceback" not in process.stderr
    return process.stderr.decode()
