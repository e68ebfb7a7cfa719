"""Which program's server is at an address, and the object that speaks to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from dlp_local.core import settings
from dlp_local.core.errors import EngineError
from dlp_local.engine.remote.command_lines import llama_server_command, vllm_command
from dlp_local.engine.remote.connection import Connection, RefusedError
from dlp_local.engine.remote.known_adapters import KnownAdapters
from dlp_local.engine.remote.llama_server import LlamaServer
from dlp_local.engine.remote.mixes import MixStore
from dlp_local.engine.remote.remote_server import RemoteServer
from dlp_local.engine.remote.vllm import VLLM

_KINDS = {"llamacpp": "llama-server", "vllm": "vllm"}
"""What the programs call themselves as owners of their models."""


def find_server(
    connection: Connection,
    pack: str,
    backbone: Path,
    adapters: KnownAdapters,
    options: settings.Engine,
    most_adapters: int,
) -> RemoteServer:
    """The server at an address, by `options.kind`, or asked; raises `EngineError` where none of those answers."""
    kind = _asked(connection) if options.kind == "auto" else options.kind
    if kind == "llama-server":
        return LlamaServer(connection, backbone, adapters, partial(llama_server_command, backbone, adapters, options))
    mixes = MixStore(backbone, adapters, options.mix_folder)
    command = partial(vllm_command, pack, adapters, mixes, options, most_adapters=most_adapters)
    return VLLM(connection, adapters, mixes, options.mix_folder_there, command)


def _asked(connection: Connection) -> str:
    try:
        models: Any = connection.get("/v1/models")
    except RefusedError as error:
        raise EngineError(
            f"{connection.url}: is no llama-server and no vLLM ({error.status}). See engine.url."
        ) from None
    try:
        owner = str(models["data"][0]["owned_by"])
    except (KeyError, IndexError, TypeError):
        owner = "nobody"
    if owner not in _KINDS:
        raise EngineError(
            f"{connection.url}: is a server of {owner[:40]!a}, no llama-server and no vLLM. Look at engine.url. "
            "(The assistant of another machine is opened by `dlp-local chat --server`.)"
        )
    return _KINDS[owner]
