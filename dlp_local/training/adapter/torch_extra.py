"""Whether the `train` extra is installed, asked before anything is begun; and how it is got where it is not."""

from __future__ import annotations

from importlib.util import find_spec

from dlp_local.core.errors import InputError

PACKAGES = ("torch", "transformers", "safetensors", "sacrebleu")
INSTALL = "pip install torch --index-url https://download.pytorch.org/whl/cpu && pip install 'dlp-local[train]'"
"""With torch's builds for the CPU, which are a tenth of those for CUDA."""


def require_torch(what: str = "training", *more: str) -> None:
    """Raises `InputError` with the command that installs what a training needs, and `more`, where it is not there."""
    if missing := [name for name in (*PACKAGES, *more) if find_spec(name) is None]:
        raise InputError(
            f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            f"Install the train extra: {INSTALL} (with an NVIDIA GPU leave the first command out)."
        )
