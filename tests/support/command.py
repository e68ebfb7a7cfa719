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


def failed(process, code, *words):
    """The process failed with `code` and one clear message, which has these words; returns it."""
    error = process.stderr.decode()
    assert process.returncode == code, error
    assert "Traceback" not in error
    for word in words:
        assert word in error
    return error


def refused(code, *args, **env):
    return failed(run(*args, **env), code)
