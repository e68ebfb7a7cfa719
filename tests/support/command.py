"""The command line in a process of its own."""

import os
import subprocess
import sys

COMMAND = [sys.executable, "-m", "dlp_local"]


def run(*args, stdin=b"", env=None):
    return subprocess.run(
        [*COMMAND, *args], input=stdin, capture_output=True, timeout=120, env={**os.environ, **(env or {})}
    )


def out(*args, stdin=b"", env=None):
    process = run(*args, stdin=stdin, env=env)
    assert process.returncode == 0, process.stderr.decode()
    return process.stdout.decode()


def refused(*args, stdin=b""):
    process = run(*args, stdin=stdin)
    assert process.returncode == 2
    assert b"Traceback" not in process.stderr
    return process.stderr.decode()
