"""What llama.cpp was built with.

Asked in a process of its own: a build that this machine cannot run ends its process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from dlp_local.core.errors import EngineError

PATIENCE = 60
"""Seconds that loading the library may take."""

_START = "import sys; sys.path = {path!r}; from dlp_local.engine.local.build_info import main; main()"


@dataclass(frozen=True, slots=True)
class Build:
    """llama-cpp-python's version, what the library says it can use on this machine, and what the engine will use."""

    version: str
    features: str
    has_gpu: bool
    cores: int


def ask_build() -> Build:
    """What the library is; raises `EngineError` with the reason where it cannot be loaded."""
    path = [entry for entry in sys.path if isinstance(entry, str)]
    command = [sys.executable, "-c", _START.format(path=path)]
    try:
        process = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise EngineError(f"llama.cpp did not load within {PATIENCE} s. Install llama-cpp-python again.") from None
    if process.returncode:
        last = (process.stderr.decode("utf-8", "replace").strip().splitlines() or ["it gives no reason"])[-1]
        raise EngineError(
            f"llama.cpp cannot be loaded (code {process.returncode}: {last}). Install llama-cpp-python again, built "
            "for this machine."
        )
    return Build(**json.loads(process.stdout))


def main() -> None:
    """Prints this process's build as JSON."""
    from dlp_local.engine.local import library

    version, features, has_gpu = library.build_info()
    print(json.dumps(asdict(Build(version, features, has_gpu, library.usable_cores()))))
