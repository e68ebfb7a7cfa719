"""The server as an ASGI application."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dlp_local.assistant import Assistant
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.paths import serving_folder, user_path
from dlp_local.core.settings import Settings
from dlp_local.server.body_room import BodyRoom
from dlp_local.server.endpoints.chat import chat_completions
from dlp_local.server.endpoints.completions import completions
from dlp_local.server.endpoints.encoder import embeddings, route
from dlp_local.server.endpoints.files import delete_file, file_content, list_files, one_file, upload_file
from dlp_local.server.endpoints.fine_tuning import (
    cancel_job,
    create_job,
    job_checkpoints,
    job_events,
    list_jobs,
    one_job,
)
from dlp_local.server.endpoints.pack import pack
from dlp_local.server.endpoints.page import page, page_file
from dlp_local.server.endpoints.responses import delete_response, responses, stored_response
from dlp_local.server.endpoints.status import health, metrics, models, one_model, openapi_document
from dlp_local.server.errors import ApiError, ClientGoneError, as_api_error
from dlp_local.server.file_store import FileStore
from dlp_local.server.guard import KeyGuard, SiteGuard, normal_origin
from dlp_local.server.kept_folder import KeptFolder
from dlp_local.server.keys import ApiKeys, read_keys
from dlp_local.server.log import log_request, log_unexpected
from dlp_local.server.metrics import Metrics
from dlp_local.server.pack_refresh import PackRefresh
from dlp_local.server.receipts import MIX_HEADER
from dlp_local.server.response_store import ResponseStore
from dlp_local.server.runner import JobRunner
from dlp_local.server.service import Service
from dlp_local.server.training_jobs import IN_PROCESS, Trainer, TrainingJobs
from dlp_local.server.training_records import TrainingRecords

CLIENT_GONE = 499
"""The status under which a request is counted whose client did not wait."""

ROUTES = (
    Route("/", page),
    Route("/page/{name}", page_file),
    Route("/health", health),
    Route("/metrics", metrics),
    Route("/openapi.json", openapi_document),
    Route("/v1/models", models),
    Route("/v1/models/{id:path}", one_model),
    Route("/v1/pack", pack),
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
    Route("/v1/responses", responses, methods=["POST"]),
    Route("/v1/responses/{id}", stored_response, methods=["GET"]),
    Route("/v1/responses/{id}", delete_response, methods=["DELETE"]),
    Route("/v1/embeddings", embeddings, methods=["POST"]),
    Route("/v1/route", route, methods=["POST"]),
    Route("/v1/files", upload_file, methods=["POST"]),
    Route("/v1/files", list_files, methods=["GET"]),
    Route("/v1/files/{id}", one_file, methods=["GET"]),
    Route("/v1/files/{id}", delete_file, methods=["DELETE"]),
    Route("/v1/files/{id}/content", file_content, methods=["GET"]),
    Route("/v1/fine_tuning/jobs", create_job, methods=["POST"]),
    Route("/v1/fine_tuning/jobs", list_jobs, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{id}", one_job, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{id}/events", job_events, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{id}/checkpoints", job_checkpoints, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{id}/cancel", cancel_job, methods=["POST"]),
)


def create_app(assistant: Assistant, settings: Settings, trainer: Trainer = IN_PROCESS) -> Starlette:
    """The application over an open assistant, which its caller closes afterwards; `trainer` trains adapters for it.

    Raises `InputError` where the file of keys has none.
    """
    server = settings.server
    keys = read_keys(user_path(server.api_key_file)) if server.api_key_file else ApiKeys()
    runner = JobRunner(assistant.concurrent_replies, server.queue, server.answer_timeout)
    folder = KeptFolder(serving_folder(assistant.name))
    files = FileStore(folder, server.files_megabytes << 20)
    trainings = TrainingJobs(assistant, files, TrainingRecords(folder), trainer, server.trainings)
    counted = Metrics(lambda: runner.queue.waiting, lambda: runner.queue.running)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        runner.shut_down()
        await asyncio.to_thread(trainings.close)
        folder.close()

    origins = [normal_origin(origin) for origin in server.origins]
    cors = Middleware(
        CORSMiddleware,
        allow_origin_regex=f"(?i:{'|'.join(map(re.escape, origins))})",
        allow_methods=("GET", "POST", "DELETE"),
        allow_headers=("*",),
        expose_headers=(MIX_HEADER, "Retry-After"),
        allow_private_network=True,
    )
    app = Starlette(
        routes=list(ROUTES),
        middleware=[
            Middleware(Observer, metrics=counted, logs=server.log_requests),
            Middleware(SiteGuard, hosts=server.allowed_hosts, origins=origins),
            *([cors] if origins else []),
            Middleware(KeyGuard, keys=keys),
            Middleware(BodyRoom, most_bytes=max(server.bodies_megabytes, server.body_megabytes) << 20),
            Middleware(PackRefresh, assistant=assistant, runner=runner),
        ],
        exception_handlers={
            ApiError: _error,
            DlpLocalError: _error,
            HTTPException: _http_error,
            ClientGoneError: _client_gone,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )
    stored = ResponseStore(server.stored_responses, server.stored_megabytes << 20)
    app.state.service = Service(assistant, server, runner, counted, stored, files, trainings)
    return app


class Observer:
    """Counts every request, and writes a line of it where that is wanted."""

    def __init__(self, app: ASGIApp, metrics: Metrics, logs: bool) -> None:
        self._app, self._metrics, self._logs = app, metrics, logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), CLIENT_GONE

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.monotonic() - started
            self._metrics.count_request(_endpoint(scope), status, seconds)
            if self._logs:
                log_request(scope, status, seconds)


def _endpoint(scope: Scope) -> str:
    """The name of the endpoint that a request came to; never anything that a client chose."""
    return getattr(scope.get("endpoint"), "__name__", "none")


# Handlers that are no coroutines would be run in threads.
async def _error(_: Request, error: Exception) -> Response:
    return as_api_error(error).response()


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    advice = {404: "there is nothing here. /openapi.json lists what there is.", 405: "this method is not served here."}
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    message = advice.get(error.status_code, error.detail)
    return ApiError(error.status_code, message, code=code, headers=error.headers).response()


async def _client_gone(_: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _unexpected(_: Request, error: Exception) -> Response:
    log_unexpected(error)
    return as_api_error(error).response()
