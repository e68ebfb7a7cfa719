"""Server-sent events: JSON as it comes, until it is all there or the client is gone."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dlp_local.server.disconnect import unless_gone
from dlp_local.server.errors import ApiError, ClientGoneError, as_api_error
from dlp_local.server.log import log_unexpected

Frame = Mapping[str, Any] | str
"""An object is sent as JSON, a text as it is; an empty one is a comment that says nothing."""


class EventStream(Response):
    """Sends frames; an object that has a `type` is an event of that name where `named` is set.

    What is raised before the first frame is the reply's status, as in any other; later it is a frame. `extra_headers`
    may be filled in until the first frame comes.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[Frame, None], extra_headers: Mapping[str, str], *, named: bool = False
    ) -> None:
        self._frames, self._extra, self._named = frames, extra_headers, named
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the frames, as long as there is a client; raises `ApiError` before the first one."""
        async with aclosing(self._frames):
            with suppress(ClientGoneError):
                await unless_gone(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        is_begun = False
        try:
            async for frame in self._frames:
                if not is_begun:
                    is_begun = True
                    self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no", **self._extra})
                    del self.headers["content-length"]
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await _send_body(send, self._encode(frame))
        except Exception as error:
            if not is_begun:
                raise
            if not isinstance(error, ApiError):
                log_unexpected(error)
            await _send_body(send, self._encode(as_api_error(error).body()))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _encode(self, frame: Frame) -> bytes:
        if isinstance(frame, str):
            return f"data: {frame}\n\n".encode() if frame else b": \n\n"
        name = f"event: {frame['type']}\n" if self._named and "type" in frame else ""
        return f"{name}data: {json.dumps(frame, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
