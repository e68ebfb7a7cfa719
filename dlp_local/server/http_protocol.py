"""HTTP over one connection, with limits on how long a client may take and on how many there are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from dlp_local.server.errors import ApiError
from dlp_local.server.guard import headers_too_long

RETRY_SECONDS = 5


def bounded_protocol(read_timeout: float, stall_timeout: float, connections: int) -> Callable[..., asyncio.Protocol]:
    """Uvicorn's protocol, for its `http` option, with two limits in seconds and one on the connections at once.

    A request must have come whole within `read_timeout` of its first byte, or of the connection. A client that takes
    nothing of what is sent for `stall_timeout` loses its connection, and with that its slot. A client that closes its
    half of the connection is taken for gone: nobody can tell the two apart before something is sent. What is refused
    before it comes to the application has the envelope of every other error.
    """

    class BoundedProtocol(H11Protocol):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._reading: asyncio.TimerHandle | None = None
            self._stalled: asyncio.TimerHandle | None = None
            self._application, self.app = self.app, self._unless_full

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transport.set_write_buffer_limits(high=0)  # whatever the system does not take counts as a stall
            self._reading = self.loop.call_later(read_timeout, self._give_up_reading)

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._reading, self._stalled):
                if timer:
                    timer.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
                self._reading = self._reading or self.loop.call_later(read_timeout, self._give_up_reading)
            elif self._reading:
                self._reading.cancel()
                self._reading = None

        async def _unless_full(self, scope: Scope, receive: Receive, send: Send) -> None:
            is_full = max(len(self.connections), len(self.tasks)) > connections
            await (_too_many().response() if is_full else self._application)(scope, receive, send)

        def _give_up_reading(self) -> None:
            self._refuse(ApiError(408, "the request did not come in time (server.read_timeout).", code="timeout"))

        def send_400_response(self, msg: str) -> None:
            """Refuses what h11 does not read; its error, which is being handled, has the status."""
            if getattr(sys.exc_info()[1], "error_status_hint", 400) == 431:
                self._refuse(headers_too_long())
            else:
                self._refuse(ApiError(400, "this is not HTTP/1.1 as it is read here.", code="invalid_http"))

        def _refuse(self, error: ApiError) -> None:
            if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
                self.transport.write(_as_bytes(error))
            self.transport.close()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stalled = self.loop.call_later(stall_timeout, self.transport.abort)

        def resume_writing(self) -> None:
            if self._stalled:
                self._stalled.cancel()
                self._stalled = None
            super().resume_writing()

    return BoundedProtocol


def _too_many() -> ApiError:
    return ApiError(
        503, "as many connections are open as there may be (server.connections). Ask again in a moment.",
        code="server_busy", headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
    )  # fmt: skip


def _as_bytes(error: ApiError) -> bytes:
    """An error as the last reply of a connection."""
    reply = error.response()
    line = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n".encode()
    headers = [*reply.raw_headers, (b"connection", b"close")]
    return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + bytes(reply.body)
