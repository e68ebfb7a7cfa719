"""Models in other quantizations."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from dlp_local.engine.local.library import lib


def quantize(model: Path, out: Path, kind: str) -> Path:
    """Writes a GGUF model again in another type, such as `Q8_0`."""
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = getattr(lib, f"LLAMA_FTYPE_MOSTLY_{kind}"), True
    assert lib.llama_model_quantize(os.fsencode(model), os.fsencode(out), ctypes.byref(params)) == 0
    return out
