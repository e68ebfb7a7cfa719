"""`/v1/pack`: what a window over this server shows of the pack."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local.server.replies.pack import DefaultOfOption, Pack, PackAdapter
from dlp_local.server.service import service_of


async def pack(request: Request) -> Response:
    """The pack that answers: its greeting, messages to try, adapters, and the options' defaults."""
    assistant = service_of(request).assistant
    return JSONResponse(
        Pack(
            name=assistant.name,
            greeting=assistant.greeting,
            examples=list(assistant.examples),
            adapters=[
                PackAdapter(name=info.name, description=info.description, enabled=info.enabled)
                for info in assistant.pack_adapters
            ],
            context_size=assistant.context_size,
            concurrent_replies=assistant.concurrent_replies,
            option_defaults={
                name: DefaultOfOption(value=default.value, base=default.base, source=default.source)
                for name, default in assistant.option_defaults.items()
            },
        )
    )
