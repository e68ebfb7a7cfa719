"""vLLM as an engine: each mix is an adapter that it loads at run time, and the name of the model in a request.

Prompts go as tokens to `/v1/completions`, and tokens come back: rendered and read here as for every other engine.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from dlp_local.core.errors import EngineError
from dlp_local.core.job import Cancellation
from dlp_local.core.values import AdapterFile, Mix
from dlp_local.engine.remote.connection import BrokenStreamError, Connection, RefusedError
from dlp_local.engine.remote.known_adapters import KnownAdapters
from dlp_local.engine.remote.mixes import MixStore
from dlp_local.engine.remote.remote_server import Description, Finish, Piece, Pieces, Request

SEQUENCES = 256
"""vLLM's own default of sequences that it computes at a time (`--max-num-seqs`); it does not tell."""

REACH_NOTICE = "vLLM: a repeat penalty looks back on the whole conversation there, whatever repeat_last says."


class VLLM:
    """One `RemoteServer`. `folder_there`: where the server sees the mixes' folder; `command`: the line to start it."""

    def __init__(
        self,
        connection: Connection,
        adapters: KnownAdapters,
        mixes: MixStore,
        folder_there: str,
        command: Callable[[], str],
    ) -> None:
        self._connection, self._adapters, self._mixes, self._command = connection, adapters, mixes, command
        self._folder_there = folder_there
        self._base = ""
        self._known: dict[str, Mix] = {}
        self._in_use: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._changed = threading.Condition()

    def describe(self) -> Description:
        """See `RemoteServer`; raises `EngineError` where the server is not in a private network, too."""
        check_private(self._connection.url)
        try:
            version = self._connection.get("/version")
        except RefusedError as error:
            raise EngineError(
                f"{self._connection.url}: is no vLLM ({error.status}). Look at engine.url and engine.kind."
            ) from None
        try:
            models = self._connection.get("/v1/models")["data"]
            base = next(model for model in models if model.get("parent") is None)
            described = Description(
                name=f"vLLM {version['version']}",
                base=str(base.get("root") or base["id"]),
                adapters=tuple(str(model["id"]) for model in models if model is not base),
                context_size=int(base["max_model_len"]),
                concurrent_replies=SEQUENCES,
                format_features=frozenset({"grammar", "json_schema", "logit_bias", "tools"}),
                notices=(REACH_NOTICE,),
            )
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
            raise EngineError(f"{self._connection.url}: is no vLLM that is known here. Update it.") from None
        self._base = str(base["id"])
        return described

    def tokenize(self, text: str) -> list[int]:
        """See `RemoteServer`."""
        body = {"model": self._base, "prompt": text, "add_special_tokens": False}
        answer = self._connection.post("/tokenize", body)
        return list(answer["tokens"]) if isinstance(answer, dict) and isinstance(answer.get("tokens"), list) else []

    def prepare(self, mix: Mix) -> str:
        """See `RemoteServer`; the handle is the name of the adapter there."""
        if not self._adapters.files:
            return self._base
        name = self._mixes.name(mix)
        with self._changed:
            self._in_use[name] += 1
        try:
            with self._changed:
                self._changed.wait_for(lambda: name not in self._leaving)
                is_loaded = name in self._known
            if is_loaded:
                self._mixes.note_use(name)
            else:
                self._load(name, mix)
                self._make_room()
        except BaseException:
            self.release(name)
            raise
        return name

    def release(self, handle: str) -> None:
        """See `RemoteServer`."""
        with self._changed:
            self._in_use[handle] -= 1
            if self._in_use[handle] <= 0:
                del self._in_use[handle]

    def stream(self, request: Request, handle: str, cancellation: Cancellation) -> Pieces:
        """See `RemoteServer`; a mix that the server no longer knows is loaded again, once."""
        try:
            yield from self._stream(request, handle, cancellation)
        except RefusedError as error:
            if error.status != 404 or error.parameter != "model" or handle not in self._known:
                raise
            self._load(handle, self._known[handle])
            yield from self._stream(request, handle, cancellation)

    def _stream(self, request: Request, handle: str, cancellation: Cancellation) -> Pieces:
        sampling = request.sampling
        body = {
            "model": handle,
            "prompt": list(request.prompt),
            "max_tokens": request.max_tokens,
            "stream": True,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repeat_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "seed": sampling.seed,
            **({"structured_outputs": {"grammar": request.grammar}} if request.grammar else {}),
            "logit_bias": {str(token): bias for token, bias in request.logit_bias} or None,
        }
        for event in self._connection.stream("/v1/completions", body, cancellation):
            try:
                for choice in event["choices"]:
                    yield from self._read(choice)
                    if choice["finish_reason"]:
                        return
            except (KeyError, TypeError, ValueError, AttributeError):
                raise BrokenStreamError(f"{self._connection.url}: its answer could not be read. Update vLLM.") from None
        if not cancellation.requested:
            raise BrokenStreamError(f"{self._connection.url}: the answer came to no end.")

    def _read(self, choice: dict[str, Any]) -> Pieces:
        tokens = tuple(int(token) for token in choice.get("token_ids") or ())
        if choice["text"] and "token_ids" not in choice:
            raise BrokenStreamError(f"{self._connection.url}: this vLLM tells no tokens. Use 0.10.2 or a later one.")
        if tokens:
            yield Piece(tokens)
        match choice["finish_reason"]:
            case None:
                return
            case "stop" | "length" as reason:
                yield Finish(reason)
            case other:
                raise BrokenStreamError(f"{self._connection.url}: ended the answer ({str(other)[:40]}).")

    def add_adapter(self, adapter: AdapterFile) -> None:
        """See `RemoteServer`; it is loaded there, alone, so that what does not fit is told now."""
        with self._adapters.added(adapter):
            self.release(self.prepare(Mix(((adapter.name, 1.0),))))

    def remove_adapter(self, name: str) -> None:
        """See `RemoteServer`; mixes with it leave as others are used."""
        self._adapters.remove(name)

    def _load(self, name: str, mix: Mix) -> None:
        """Has the server load a mix; one that is loaded is that very mix, for the name says its content."""
        folder = self._mixes.write(mix)
        path = f"{self._folder_there.rstrip('/')}/{name}" if self._folder_there else str(folder)
        try:
            self._connection.post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        except RefusedError as error:
            if not (error.status == 400 and "already" in error.message):
                raise EngineError(self._why_not_loaded(error, path)) from None
        with self._changed:
            self._known[name] = mix

    def _why_not_loaded(self, error: RefusedError, path: str) -> str:
        url = self._connection.url
        start = f"Start it with the line that `dlp-local engine command vllm` prints:\n{self._command()}"
        if error.status == 404 and error.message == "Not Found":
            return f"{url}: was started without loading of adapters at run time. {start}"
        if "rank" in error.message.lower():
            return f"{url}: takes no adapter of this rank ({error.message}). {start}"
        if error.status == 404:
            return (
                f"{url}: does not find {path}. Where it runs on another machine, share a folder with it: set "
                "engine.mix_folder to its path here, and engine.mix_folder_there to the one there."
            )
        return f"{url}: does not load the mix ({error.status}: {error.message}). {start}"

    def _make_room(self) -> None:
        """Unloads the least recently used mixes, and then deletes their folders."""
        for name in self._mixes.least_used():
            self._unload(name)

    def _unload(self, name: str) -> None:
        """Unloads a mix that nobody uses; whoever wants it meanwhile waits, and loads it anew."""
        with self._changed:
            if name in self._in_use or name in self._leaving:
                return
            self._known.pop(name, None)
            self._leaving.add(name)
        try:
            with suppress(RefusedError):  # it does not know it, from an earlier start
                self._connection.post("/v1/unload_lora_adapter", {"lora_name": name})
            self._mixes.remove(name)
        finally:
            with self._changed:
                self._leaving.discard(name)
                self._changed.notify_all()


def check_private(url: str) -> None:
    """Raises `EngineError` unless a server's host is this machine or in a private network.

    Whoever reaches a vLLM that loads adapters at run time may have it load any folder of its machine.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        raise EngineError(f"{url}: this machine knows no such host. Look at engine.url.") from None
    if public := sorted(address for address in addresses if ipaddress.ip_address(address.partition("%")[0]).is_global):
        raise EngineError(
            f"{url}: is at {public[0]}, which is no private network, and a vLLM that loads adapters at run time is for "
            "private networks alone. Use a tunnel (ssh -L) or a private address."
        )
