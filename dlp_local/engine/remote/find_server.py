"""Which program's server is at an address, and the object that speaks to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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

_NAMES = {"llama-server": "llama-server", "vllm": "vLLM"}


def find_server(
    connection: Connection,
    pack: str,
    backbone: Path,
    adapters: KnownAdapters,
    options: settings.Engine,
    most_adapters: int,
) -> RemoteServer:
    """The server at an address, by what it says of itself; raises `EngineError` where it is neither of the two.

    One that does not say is what `options.kind` says; raises where the two disagree.
    """
    kind = _asked(connection, options.kind)
    host, port = _listening(options.url)
    if kind == "llama-server":
        command = partial(llama_server_command, backbone, adapters, options, host=host, port=port)
        return LlamaServer(connection, backbone, adapters, command)
    mixes = MixStore(backbone, adapters, options.mix_folder)
    start = partial(vllm_command, pack, adapters, mixes, options, most_adapters=most_adapters, host=host, port=port)
    return VLLM(connection, adapters, mixes, options.mix_folder_there, start)


def _listening(url: str) -> tuple[str, int]:
    """The host and the port at which a server has to listen to be at an address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _asked(connection: Connection, said: str) -> str:
    try:
        models: Any = connection.get("/v1/models")
    except RefusedError as error:
        if said != "auto":
            return said
        raise EngineError(
            f"{connection.url}: is no llama-server and no vLLM ({error.status}). See engine.url."
        ) from None
    try:
        owner = str(models["data"][0]["owned_by"])
    except (KeyError, IndexError, TypeError):
        owner = "nobody"
    kind = _KINDS.get(owner, said)
    if kind == "auto":
        raise EngineError(
            f"{connection.url}: is a server of {owner[:40]!a}, no llama-server and no vLLM. Look at engine.url. "
            "(The assistant of another machine is opened by `dlp-local chat --server`.)"
        )
    if said not in ("auto", kind):
        raise EngineError(
            f"{connection.url}: is a {_NAMES[kind]}; engine.kind says {said}. Set engine.kind to auto, or look at "
            "engine.url."
        )
    return kind
