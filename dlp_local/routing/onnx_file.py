"""Opens an ONNX file on onnxruntime's CPU provider, or says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from dlp_local.errors import PackError

NEXT_STEP = "Fetch or build the pack again."

_ERRORS_ONLY = 3


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
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise PackError(f"{path}: not a usable ONNX file: {first_line(error)}. {NEXT_STEP}") from None


def first_line(error: Exception) -> str:
    """The first line of an error's text, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
