"""The backbone and what runs on it; `llama.py` alone imports llama_cpp."""

from dlp_local.engine.engine import Engine

__all__ = ["Engine"]
