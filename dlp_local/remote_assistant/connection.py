"""Requests to a server, each over a connection of its own, which any thread can cut."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from dlp_local.core.errors import DlpLocalError, EngineError, InputError
from dlp_local.core.job import Cancellation
from dlp_local.core.server_address import NO_TLS, Server

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""A server that is silent for so long is gone: while it streams, it says something every 15 seconds."""

MOST_BYTES = 16 << 20
"""Of a reply, or of one line of a stream."""

_FAILURES = (OSError, http.client.HTTPException, ValueError)
"""What a connection raises that fails, or was cut by another thread."""

_NO_JSON = (ValueError, RecursionError)


class ConnectionLostError(EngineError):
    """The server does not answer, or no longer."""


class ServerConnection:
    """Requests to one server."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._key = server.key
        self._parts = urlsplit(server.url)
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None

    def json(self, path: str, body: Any = None) -> Any:
        """What a path gives; a body is posted. Raises `ConnectionLostError`, and what `_refusal` makes of a refusal."""
        with self._reply(path, body, Cancellation()) as reply:
            try:
                text = reply.read(MOST_BYTES)
            except _FAILURES as error:
                raise self._broke_off(error) from None
            try:
                return json.loads(text)
            except _NO_JSON:
                raise self._no_server(reply) from None

    def events(self, path: str, body: Any, cancellation: Cancellation) -> Generator[Any, None, None]:
        """The objects of a stream of events up to its end; a cancellation cuts the connection.

        Raises as `json`, and `ConnectionLostError` where the stream breaks off.
        """
        with self._reply(path, body, cancellation) as reply:
            while True:
                try:
                    line = reply.readline(MOST_BYTES)
                except _FAILURES as error:
                    raise self._broke_off(error) from None
                data = line.removeprefix(b"data: ").strip() if line.startswith(b"data: ") else b""
                try:
                    event = json.loads(data) if data and data != b"[DONE]" else None
                except _NO_JSON:
                    raise self._broke_off("it sends what is no JSON") from None
                if not line:
                    raise self._broke_off("it ends before the answer does")
                if data == b"[DONE]":
                    return
                if event is not None:
                    yield event

    @contextmanager
    def _reply(self, path: str, body: Any, cancellation: Cancellation) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        more: dict[str, Any] = {"context": self._tls} if self._tls else {}
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=CONNECT_SECONDS, **more)
        connected: list[socket.socket] = []

        def cut() -> None:
            for one in connected:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        with cancellation.forwarded(cut), closing(connection):
            try:
                connection.connect()
                connection.sock.settimeout(SILENCE_SECONDS)
                connected.append(connection.sock)
                if cancellation.requested:
                    cut()
                text = None if body is None else json.dumps(body).encode()
                connection.request("GET" if body is None else "POST", self._parts.path + path, text, self._headers())
                reply = connection.getresponse()
            except _FAILURES as error:
                raise self._unreachable(error) from None
            with closing(reply):
                if reply.status != http.client.OK:
                    raise self._refusal(reply)
                yield reply

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "dlp-local", "Connection": "close"}
        return headers | ({"Authorization": f"Bearer {self._key}"} if self._key else {})

    def _no_server(self, reply: http.client.HTTPResponse) -> InputError:
        return InputError(
            f"{self.url}: no server of dlp-local answers there (status {reply.status}). Check the address."
        )

    def _unreachable(self, error: Exception) -> ConnectionLostError:
        """What failed before the server replied."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConnectionLostError(
                f"the certificate of {self.url} is not trusted here ({error.verify_message}). Check the address, or "
                "have this machine trust it."
            )
        if isinstance(error, ssl.SSLError) and error.reason == NO_TLS:
            plain = f"http://{self.url.removeprefix('https://')}"
            return ConnectionLostError(f"the server {self.url} speaks http, not https. Give its address as {plain}.")
        return ConnectionLostError(
            f"the server {self.url} does not answer ({_reason(error)}). Is `dlp-local serve` running there?"
        )

    def _broke_off(self, error: Exception | str) -> ConnectionLostError:
        """What failed after the server had begun to reply."""
        return ConnectionLostError(f"the connection to {self.url} broke off ({_reason(error)}).")

    def _refusal(self, reply: http.client.HTTPResponse) -> DlpLocalError:
        """What the server says of a request that it does not answer."""
        if reply.status == http.client.UNAUTHORIZED:
            why = "the key is none of its keys" if self._key else "it wants a key"
            return InputError(f"the server {self.url} refuses: {why}. Give one with --api-key-file.")
        try:
            message = str(json.loads(reply.read(MOST_BYTES))["error"]["message"])
        except (*_FAILURES, *_NO_JSON, LookupError, TypeError):
            return self._no_server(reply)
        is_its_fault = reply.status >= 500
        return (EngineError if is_its_fault else InputError)(f"the server {self.url} says: {message}")


def _reason(error: Exception | str) -> str:
    if isinstance(error, TimeoutError):
        return "it is silent"
    if isinstance(error, http.client.IncompleteRead):
        return "it ends too early"
    return str(getattr(error, "strerror", None) or error)
