"""Memory for the bodies of all requests that are read, wait or are answered."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dlp_local.server.errors import ApiError

RETRY_SECONDS = 5


class BodyRoom:
    """Refuses a request with 503 and Retry-After once all bodies together are longer than `most_bytes`."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app, self._most_bytes, self._held = app, most_bytes, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on; from then to its end its body counts."""
        held = 0

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            length = len(message.get("body", b""))
            if length and self._held + length > self._most_bytes:
                raise ApiError(
                    503, "the requests that are being answered fill the memory for them (server.bodies_megabytes). "
                    "Ask again in a moment.", code="server_busy", headers={"Retry-After": str(RETRY_SECONDS)},
                )  # fmt: skip
            held += length
            self._held += length
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= held
