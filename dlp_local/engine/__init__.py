"""The backbone and what runs on it, in a process of its own; `llama.py` alone imports llama_cpp."""

from dlp_local.engine.local.process.client import EngineProcess

__all__ = ["EngineProcess"]
