"""The command lines that start another program's server as the engine of a pack."""

from __future__ import annotations

import shlex
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.paths import data_folder
from dlp_local.core.settings import Engine
from dlp_local.core.values import Mix
from dlp_local.engine.remote.known_adapters import KnownAdapters
from dlp_local.engine.remote.mixes import RANKS, MixStore
from dlp_local.formats.gguf import read_leading_values
from dlp_local.formats.lora import read_lora

LLAMA_PORT, VLLM_PORT = 8080, 8000
"""The programs' own defaults."""

PARALLEL = 4
"""Answers that llama-server is to compute at a time."""

ONE_CACHE = "cache-ram-0"
"""The tag by which a llama-server says that it keeps no prompts beside its slots, which would not know their mix."""

MOST_LORAS, MOST_KEPT_LORAS = 16, 64
"""Mixes that vLLM is to compute in one step, and to keep in memory."""

MODEL_FOLDER = "FOLDER_OF_THE_MODEL"
"""Stands for the Hugging Face folder of the backbone, which is the user's to name."""


def copies_folder() -> Path:
    """Where the copies of adapters for llama-server are, unless the user names another place."""
    return data_folder() / "engines" / "llama-server"


def llama_server_command(
    backbone: Path,
    adapters: KnownAdapters,
    options: Engine,
    *,
    folder: Path | None = None,
    host: str = "127.0.0.1",
    port: int = LLAMA_PORT,
) -> str:
    """The line that starts llama-server with the copies of the adapters in a folder, which `copy` writes.

    Raises `InputError` for a path that llama-server cannot be told.
    """
    context = _context(backbone, options) * PARALLEL
    words = ["llama-server", "-m", str(backbone), "-c", str(context), "-np", str(PARALLEL)]
    paths = [str((folder or copies_folder()) / adapters.copy_name(file)) for file in adapters.files]
    if with_comma := next((path for path in paths if "," in path), ""):
        raise InputError(f"{with_comma}: llama-server takes a comma for the end of a path. Name another folder: --out.")
    words += ["--lora", ",".join(paths)] if paths else []
    words += ["--cache-ram", "0", "--tags", ONE_CACHE, "--host", host, "--port", str(port)]
    return shlex.join(words)


def vllm_command(
    pack: str,
    adapters: KnownAdapters,
    mixes: MixStore,
    options: Engine,
    *,
    most_adapters: int,
    model: str = MODEL_FOLDER,
    host: str = "127.0.0.1",
    port: int = VLLM_PORT,
) -> str:
    """The line that starts vLLM with each adapter loaded, and the bare backbone; `mixes.write` writes their folders.

    It takes mixes of as many adapters as routing makes, `most_adapters`, where vLLM does: on a CPU, that rank is what
    every token costs.
    """
    ranks = sorted(max(pair.b.shape[0] for pair in read_lora(file.path).pairs.values()) for file in adapters.files)
    rank = sum(ranks[-most_adapters:])
    words = ["vllm", "serve", model, "--served-model-name", pack, "--host", host, "--port", str(port)]
    words += ["--max-model-len", str(_context(mixes.backbone, options)), "--enable-lora"]
    words += ["--max-lora-rank", str(next((allowed for allowed in RANKS if allowed >= rank), RANKS[-1]))]
    words += ["--max-loras", str(MOST_LORAS), "--max-cpu-loras", str(MOST_KEPT_LORAS)]
    if single := single_mixes(adapters):
        folder = options.mix_folder_there.rstrip("/") or str(mixes.folder)
        words += ["--lora-modules", *(f"{name}={folder}/{name}" for name in map(mixes.name, single))]
    return f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=True {shlex.join(words)}"


def _context(backbone: Path, options: Engine) -> int:
    """Tokens of one conversation: what is set, and no more than the backbone was trained for."""
    header = read_leading_values(backbone)
    architecture = header.get("general.architecture")
    trained = header.get(f"{architecture.value}.context_length") if architecture else None
    return min(options.context, trained.value) if trained and isinstance(trained.value, int) else options.context


def single_mixes(adapters: KnownAdapters) -> list[Mix]:
    """The mixes that are loaded from the start: the bare backbone, and each adapter by itself."""
    files = adapters.files
    return [Mix(), *(Mix(((file.name, 1.0),)) for file in files)] if files else []
