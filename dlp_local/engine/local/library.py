"""The only import of llama_cpp: the library started once, what it complains about, and what it can do on this machine.

Low-level llama-cpp-python, as `lib`: the high-level `Llama` takes one adapter, fixed when it is made.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from pathlib import Path

import llama_cpp
import llama_cpp.llama_cpp as lib
import psutil
from llama_cpp._ctypes_extensions import load_shared_library

from dlp_local.core import settings

__all__ = [
    "build_info",
    "clear_log",
    "default_threads",
    "last_log",
    "lays_out_weights",
    "lib",
    "load_tensor_library",
    "offloads",
    "rank_step",
    "start_library",
    "usable_cores",
]

SMALL_BACKBONE = 32_000_000
"""Bytes of a file."""

_LOG: deque[str] = deque(maxlen=20)
_LOG_ERROR = 4
_NOTHING_NEW = "failed to load model"
"""llama.cpp's last words over any broken file; the reason stands in the line before."""


def _keep_log(level: int, text: bytes, _: object) -> None:
    if level == _LOG_ERROR and (line := text.decode("utf-8", "replace").strip()):
        _LOG.append(line)


_LOG_CALLBACK = lib.llama_log_callback(_keep_log)
"""Kept for as long as the process runs: llama.cpp calls it whenever it has something to say."""


def clear_log() -> None:
    """Forgets what llama.cpp complained about so far."""
    _LOG.clear()


def last_log() -> str:
    """What llama.cpp last complained about."""
    return next((line for line in reversed(_LOG) if _NOTHING_NEW not in line), "it gives no reason")


_started = threading.Lock()
_is_started = False


def start_library() -> None:
    """Starts llama.cpp where it is not started yet; what it complains about is kept and not printed."""
    global _is_started
    with _started:
        if not _is_started:
            lib.llama_log_set(_LOG_CALLBACK, ctypes.c_void_p(0))
            lib.llama_backend_init()
            _is_started = True


def default_threads(backbone: Path) -> int:
    """One for each physical core, but one alone for a backbone under `SMALL_BACKBONE`.

    Its matrices take microseconds, so what threads save they lose in waiting for each other: on two cores the bundled
    one writes 1,000 tokens a second with one thread and 1,200 with two, but 400 against 100 beside two busy programs.
    """
    return 1 if backbone.stat().st_size < SMALL_BACKBONE else usable_cores()


def usable_cores() -> int:
    """Physical cores that this process may run on."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(physical, allowed))


def rank_step() -> int:
    """The ranks that llama.cpp computes fast on this machine are multiples of this.

    A token's products with B are dot products as long as the rank. It takes their numbers by the 64 with AVX-512 and by
    the 32 or 16 with what else there is, and those left over one after the other.
    """
    return 64 if "AVX512 = 1" in _features() else 32


def lays_out_weights() -> bool:
    """Whether llama.cpp may lay weights out anew for this machine's instructions: not where it would do so for AMX.

    GCC drops what it writes of AMX's tiles, and the first product ends the process (llama.cpp #20824 and #26954). The
    other layouts cannot be had without AMX's.
    """
    return "AMX_INT8 = 1" not in _features()


def _features() -> str:
    start_library()
    return str(lib.llama_print_system_info().decode("utf-8", "replace"))


def build_info() -> tuple[str, str, bool]:
    """llama-cpp-python's version, what llama.cpp uses on this machine, and whether layers can go to a GPU."""
    features = _features().replace(" = 1", "").strip(" |")
    return llama_cpp.__version__, features, bool(lib.llama_supports_gpu_offload())


def load_tensor_library() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """The functions of ggml itself, and those that list its devices; raises `OSError` where there are no such files."""
    start_library()
    folder = Path(llama_cpp.__file__).parent / "lib"
    base, devices = (load_shared_library(name, folder) for name in ("ggml-base", "ggml"))
    return base, devices


def offloads(options: settings.Engine) -> bool:
    """Whether layers go to a graphics card, whose memory is then what counts."""
    return bool(options.gpu_layers and lib.llama_supports_gpu_offload())
