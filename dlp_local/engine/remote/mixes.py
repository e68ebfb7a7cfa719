"""Mixes as vLLM loads them: each a folder with ONE stacked PEFT adapter, under a name that says its content."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.paths import data_folder, user_path
from dlp_local.core.values import Mix
from dlp_local.engine.remote.known_adapters import HASH_DIGITS, KnownAdapters
from dlp_local.formats.lora import read_lora
from dlp_local.formats.peft.export import CONFIG, Parts, export_lora, stacked_rank

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Those that vLLM computes; and 1, which saves nothing."""

PREFIX = "dlp-local-"
KEPT = 32
"""Mixes whose folders are kept when nobody uses them."""


def filled_rank(rank: int) -> int:
    """The smallest rank of vLLM's that holds one; raises `InputError` where none does."""
    if rank > RANKS[-1]:
        raise InputError(
            f"mix: its adapters have rank {rank} together, and vLLM takes {RANKS[-1]} at most. "
            "Mix fewer: routing.max_adapters."
        )
    return next(allowed for allowed in RANKS if allowed >= rank)


class MixStore:
    """The folders of mixes in `folder` (none: in the user's data). `backbone`: the GGUF that the adapters are for."""

    def __init__(self, backbone: Path, adapters: KnownAdapters, folder: str) -> None:
        self.backbone, self._adapters = backbone, adapters
        self.folder = user_path(folder) if folder else data_folder() / "engines" / "vllm"
        self._changing = threading.Lock()

    def name(self, mix: Mix) -> str:
        """The name of a mix, and of its folder: vLLM keeps what it computed by it, so it is the same for the same
        content alone. Raises `InputError` for an unknown adapter.
        """
        factors = self._adapters.factors(mix)
        content = [f"{self.backbone.name} {self.backbone.stat().st_size}"]
        content += [f"{self._adapters.digest(file)} {factor!r}" for file, factor in factors]
        digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
        return f"{PREFIX}{'-'.join(file.name for file, _ in factors)[:40] or 'base'}-{digest[:HASH_DIGITS]}"

    def write(self, mix: Mix) -> Path:
        """The folder of a mix, written where it is not there whole, and noted as used now.

        Raises `PackError` for adapters that cannot be written so, `InputError` for a mix of too large a rank and where
        nothing can be written.
        """
        folder = self.folder / self.name(mix)
        with self._changing:
            if not (folder / CONFIG).is_file():
                parts = self._parts(mix)
                export_lora(parts, self.backbone, folder, filled_rank(stacked_rank(parts)))
            self.note_use(folder.name)
        return folder

    def note_use(self, name: str) -> None:
        """Notes that a mix is used now, on its folder, for every process that shares it."""
        with suppress(OSError):  # another process deletes it, or it is another user's
            os.utime(self.folder / name)

    def least_used(self) -> list[str]:
        """The names of all mixes but the `KEPT` that were used last, the least recently used first."""
        used = list[tuple[int, str]]()
        for folder in self.folder.glob(f"{PREFIX}*"):
            with suppress(OSError):  # it is deleted at this moment
                if folder.is_dir():
                    used.append((folder.stat().st_mtime_ns, folder.name))
        used.sort()
        return [name for _, name in used[: max(len(used) - KEPT, 0)]]

    def remove(self, name: str) -> None:
        """Deletes the folder of a mix."""
        with self._changing:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _parts(self, mix: Mix) -> Parts:
        """The adapters of a mix with their factors.

        The bare backbone is an adapter times zero: beside adapters vLLM's CPU kernels answer a request without one by
        another request's (vllm #48421, #49656).
        """
        factors = self._adapters.factors(mix) or [(self._adapters.files[0], 0.0)]
        return [(read_lora(file.path), factor) for file, factor in factors]
