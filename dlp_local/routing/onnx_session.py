"""Opens an ONNX file on onnxruntime's CPU provider, or says what is wrong with it.

The official builds of onnxruntime collect events about the machine and send them to Microsoft unless they are told not
to, and the variable counts only where it is set before the library starts (onnxruntime, docs/Privacy.md).
"""

from __future__ import annotations

import os
from pathlib import Path

from dlp_local.core.interrupts import interrupted_afterwards

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

with interrupted_afterwards():  # its module in C takes Ctrl+C for a fault of its own
    import onnxruntime as ort

from dlp_local.core.errors import PackError

NEXT_STEP = "Fetch or build the pack again."

_ERRORS_ONLY = 3

_LEFT_OUT = ["SkipLayerNormFusion"]
"""What onnxruntime does not rewrite: its kernel for a sum and the normalization after it is slower than one for each.

Without it the encoder takes 10 % less for 6 to 32 tokens (on one core of a Xeon, in turns).
"""

ort.disable_telemetry_events()  # Windows builds with another collector look at this alone


def open_session(path: Path, threads: int) -> ort.InferenceSession:
    """A session with `threads` threads inside an operator and one between operators.

    Threads do not spin while they wait: the backbone needs the cores more. Raises `PackError` for a file that is
    missing or that onnxruntime cannot read.
    """
    if not path.is_file():
        raise PackError(f"{path}: there is no such file. {NEXT_STEP}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_LEFT_OUT
        )
    except Exception as error:  # onnxruntime's errors have no common base but this
        reason = first_line(error).rpartition(" failed:")[2]  # before it: numbers of errors, and the path once more
        raise PackError(f"{path}: not a usable ONNX file: {reason}. {NEXT_STEP}") from None


def first_line(error: Exception) -> str:
    """The first line of an error's text, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
