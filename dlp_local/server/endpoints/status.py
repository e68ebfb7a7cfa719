"""`/health`, `/metrics`, `/openapi.json` and the models."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local import __version__
from dlp_local.server.models import model, model_list
from dlp_local.server.openapi import openapi
from dlp_local.server.replies.status import Health
from dlp_local.server.service import service_of

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def health(request: Request) -> Response:
    """Whether the server is there, and which pack it has open."""
    service = service_of(request)
    return JSONResponse(Health(status="ok", pack=service.assistant.name, version=__version__))


async def openapi_document(request: Request) -> Response:
    """What there is to ask for, and how."""
    return JSONResponse(openapi())


async def metrics(request: Request) -> Response:
    """What the server counts, for Prometheus."""
    return Response(service_of(request).metrics.text(), media_type=METRICS_TYPE)


async def models(request: Request) -> Response:
    """All models with a name of their own."""
    service = service_of(request)
    return JSONResponse(model_list(service.assistant, service.started))


async def one_model(request: Request) -> Response:
    """One model, also a mix such as `sql=0.7,shell=0.3`."""
    service = service_of(request)
    return JSONResponse(model(service.assistant, request.path_params["id"], service.started))
