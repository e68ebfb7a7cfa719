"""Listening: the socket, uvicorn, and how it all ends."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from dlp_local.assistant import Assistant
from dlp_local.core.errors import InputError
from dlp_local.core.server_address import url_here
from dlp_local.core.settings import Server, Settings
from dlp_local.server.app import create_app
from dlp_local.server.guard import MOST_HEADER_BYTES
from dlp_local.server.http_protocol import bounded_protocol
from dlp_local.server.runner import JobRunner
from dlp_local.server.training_jobs import IN_PROCESS, Trainer

OTHER_FILES = 256
"""That are open beside connections, at most."""

LAST_WORDS = 5
"""Seconds for answers that are cut off at the end to be sent."""


def listen(server: Server) -> socket.socket:
    """The socket that the settings name, listening: clients that connect wait until uvicorn takes them.

    Raises `InputError` for an address that is not this machine's, a port that is taken, and for any address but
    loopback without a file of keys.
    """
    try:
        addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {server.host}: is no address of this machine ({error}).") from None
    if not server.api_key_file and not all(_is_loopback(address[4][0]) for address in addresses):
        raise InputError(
            f"--host {server.host}: others can reach this address, and there is no key. Give --api-key-file, or "
            "listen on 127.0.0.1."
        )
    family, _, _, _, address = addresses[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=server.connections)
    except OSError as error:
        raise InputError(_why_not(server, error)) from None


def allow_connections(number: int) -> None:
    """Lets this process have so many connections open, as far as the system allows; many allow 1024 files at first."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = number + OTHER_FILES if hard == resource.RLIM_INFINITY else min(number + OTHER_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _is_loopback(address: str | int) -> bool:
    return ipaddress.ip_address(str(address).partition("%")[0]).is_loopback


def _why_not(server: Server, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port {server.port}: is taken by another program. Stop that one, or give another --port."
    if error.errno == errno.EACCES:
        return f"--port {server.port}: may not be used by you. Give one over 1023."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {server.host}: is no address of this machine."
    return f"--host {server.host} --port {server.port}: cannot be listened on ({error.strerror})."


def listens_everywhere(listening: socket.socket) -> bool:
    """Whether a socket listens on all addresses of this machine."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_unspecified


def url_of(listening: socket.socket) -> str:
    """Where a socket can be reached from this machine, also one that listens on all addresses."""
    return url_here(*listening.getsockname()[:2])


class HttpServer(uvicorn.Server):
    """uvicorn over the assistant.

    The first Ctrl+C (or SIGTERM) refuses what is new and what waits, and lets running answers come to their end; after
    `shutdown_timeout` they are cut off. A second Ctrl+C cuts them off at once; a second SIGTERM does nothing more.
    """

    def __init__(
        self,
        assistant: Assistant,
        settings: Settings,
        stopping: Callable[[int], None] = lambda _: None,
        trainer: Trainer = IN_PROCESS,
    ) -> None:
        """`stopping` is told how many answers are running when the server is asked to end; from a signal handler."""
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each client that goes away within an answer
        logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of each form that it cannot read
        app = create_app(assistant, settings, trainer)
        server = settings.server
        self._runner: JobRunner = app.state.service.runner
        self._stopping = stopping
        self._grace = server.shutdown_timeout
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(  # type: ignore[arg-type]
                    server.read_timeout, server.stall_timeout, server.connections
                ),
                loop="asyncio",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=server.connections,
                timeout_keep_alive=server.idle_timeout,
                timeout_graceful_shutdown=server.shutdown_timeout + LAST_WORDS,
                h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends, gently the first time, and at a second Ctrl+C at once."""
        if not self.should_exit:
            self._stopping(self._runner.queue.running)
        elif sig == signal.SIGINT:
            self._runner.cancel()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuses what waits, and waits for what runs."""
        self._runner.close()
        deadline = asyncio.get_running_loop().call_later(self._grace, self._runner.cancel)
        try:
            await super().shutdown(sockets)
        finally:
            deadline.cancel()
            self._runner.cancel()
