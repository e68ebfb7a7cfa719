"""HTTP over one connection, with limits on how long a client may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def bounded_protocol(read_timeout: float, stall_timeout: float) -> Callable[..., asyncio.Protocol]:
    """Uvicorn's protocol, for its `http` option, with two limits in seconds.

    A request must have come whole within `read_timeout` of its first byte, or of the connection. A client that takes
    nothing of what is sent for `stall_timeout` loses its connection, and with that its slot. A client that closes its
    half of the connection is taken for gone: nobody can tell the two apart before something is sent.
    """

    class BoundedProtocol(H11Protocol):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._reading: asyncio.TimerHandle | None = None
            self._stalled: asyncio.TimerHandle | None = None

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

        def _give_up_reading(self) -> None:
            if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
                self.transport.write(_TOO_SLOW)
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
