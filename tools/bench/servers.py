"""`dlp-local serve` and llama-server as they are compared: on one backbone, with the same adapters, one at a time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.engine.local.library import usable_cores
from dlp_local.engine.remote.known_adapters import KnownAdapters
from dlp_local.packs import Pack
from tools.child_server import free_port, running

CONTEXT = 2048
"""Tokens of context for each of llama-server's slots."""

Weights = dict[str, float]


@dataclass(frozen=True, slots=True)
class Side:
    """A server, and how a request to it names a mix."""

    name: str
    url: str
    with_mix: Callable[[Weights], dict[str, Any]]


class Sides:
    """Ours and llama-server, each started for its part of a round: side by side their threads wait for each other."""

    def __init__(self, pack: Pack, program: Path, names: Sequence[str], slots: int, folder: Path) -> None:
        """`program` is llama-server, which gets the adapters of these names and so many slots.

        `folder` takes copies of the adapters: llama-server refuses two that name invocation tokens.
        """
        self._pack, self._program, self._names, self._slots = pack, program, names, slots
        known = {file.name: file for file in pack.adapter_files()}
        copies = KnownAdapters([*known.values()])
        self._copies = [copies.copy(known[name], folder) for name in names]

    @contextlib.contextmanager
    def serve(self) -> Iterator[Side]:
        """Ours, with what is its own default but for the room and the queue that the cases take."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "dlp_local", "serve", "--pack", str(self._pack.folder), "--port", str(port)]
        environment = {"DLP_LOCAL_ENGINE__CONTEXT": str(4 * CONTEXT), "DLP_LOCAL_SERVER__QUEUE": "64"}
        with running(command, url, environment):
            yield Side("serve", url, lambda mix: {"dlp_local": {"mix": mix}})

    @contextlib.contextmanager
    def llama_server(self) -> Iterator[Side]:
        """A slot for each client; every request names the scale of every adapter."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [
            *(str(self._program), "-m", str(self._pack.backbone_path), "--lora-init-without-apply"),
            *(word for copy in self._copies for word in ("--lora", str(copy))),
            *(
                "--port",
                str(port),
                "-np",
                str(self._slots),
                "-c",
                str(CONTEXT * self._slots),
                "-t",
                str(usable_cores()),
            ),
        ]

        def scales(mix: Weights) -> dict[str, Any]:
            return {"lora": [{"id": i, "scale": mix.get(name, 0.0)} for i, name in enumerate(self._names)]}

        with running(command, url):
            yield Side("llama-server", url, scales)
