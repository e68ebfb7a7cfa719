"""What another program changed in the pack is taken over before a request is read, a trained adapter say."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from dlp_local.assistant import Assistant
from dlp_local.core.errors import DlpLocalError
from dlp_local.server.log import log_refused_pack
from dlp_local.server.runner import JobRunner

API = "/v1/"
"""Where the pack's adapters are asked for or named."""


class PackRefresh:
    """Takes changes over; where one is refused, that is written to the terminal, and what is open goes on."""

    def __init__(self, app: ASGIApp, assistant: Assistant, runner: JobRunner) -> None:
        self._app, self._assistant, self._runner = app, assistant, runner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] == "http" and scope["path"].startswith(API) and self._assistant.may_have_changed:
            try:
                await self._runner.call(self._assistant.refresh_if_changed)
            except DlpLocalError as error:
                log_refused_pack(error)
        await self._app(scope, receive, send)
