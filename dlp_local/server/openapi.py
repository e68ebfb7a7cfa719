"""The OpenAPI document, made of the models of the requests and replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from dlp_local import __version__
from dlp_local.server.replies.chat import ChatCompletion, ChatCompletionChunk
from dlp_local.server.replies.completions import Completion
from dlp_local.server.replies.embeddings import EmbeddingList, RouteReply
from dlp_local.server.replies.files import DeletedFile, File, FileList
from dlp_local.server.replies.fine_tuning import (
    CheckpointList,
    FineTuningEventList,
    FineTuningJob,
    FineTuningJobList,
)
from dlp_local.server.replies.models import Model, ModelList
from dlp_local.server.replies.pack import Pack
from dlp_local.server.replies.responses import DeletedResponse, Response, ResponseEvent
from dlp_local.server.replies.status import ErrorReply, Health
from dlp_local.server.requests.chat import ChatRequest
from dlp_local.server.requests.completions import CompletionRequest
from dlp_local.server.requests.embeddings import EmbeddingRequest
from dlp_local.server.requests.files import UploadForm
from dlp_local.server.requests.fine_tuning import FineTuningRequest
from dlp_local.server.requests.responses import ResponseRequest
from dlp_local.server.requests.route import RouteRequest

_REFERENCE = "#/components/schemas/{model}"
_MODE: Literal["validation"] = "validation"


@dataclass(frozen=True)
class _Operation:
    """What one method of a path does: its request, its reply, what each event of a stream holds.

    `query`: the names in its query, and the types of their values.
    """

    path: str
    method: Literal["get", "post", "delete"]
    about: str
    reply: Any
    request: type[BaseModel] | None = None
    event: Any = None
    errors: tuple[int, ...] = field(default=(400, 401, 403))
    query: Mapping[str, str] = field(default_factory=dict)


_ANSWERED = (400, 401, 403, 404, 408, 413, 415, 429, 500, 503)
_TRAINED = (400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 507)
_PAGE = {"limit": "integer", "after": "string"}
_MEDIA = {str: "text/plain", bytes: "application/octet-stream"}
"""Of replies that are no JSON."""

_OPERATIONS = (
    _Operation("/v1/models", "get", "Every model with a name of its own", ModelList),
    _Operation(
        "/v1/models/{id}", "get", "A model, also a mix as sql=0.7,shell=0.3", Model, errors=(400, 401, 403, 404)
    ),
    _Operation(
        "/v1/chat/completions", "post", "Answers the last message of a conversation", ChatCompletion, ChatRequest,
        ChatCompletionChunk, _ANSWERED,
    ),
    _Operation(
        "/v1/completions", "post", "Answers texts", Completion, CompletionRequest, Completion, _ANSWERED
    ),
    _Operation(
        "/v1/responses", "post", "Answers what is new in a conversation", Response, ResponseRequest, ResponseEvent,
        _ANSWERED,
    ),
    _Operation("/v1/responses/{id}", "get", "A stored response", Response, errors=(401, 403, 404)),
    _Operation("/v1/responses/{id}", "delete", "Forgets a stored response", DeletedResponse, errors=(401, 403, 404)),
    _Operation("/v1/embeddings", "post", "Embeddings of texts", EmbeddingList, EmbeddingRequest, errors=_ANSWERED),
    _Operation("/v1/route", "post", "How a message would be routed", RouteReply, RouteRequest, errors=_ANSWERED),
    _Operation("/v1/files", "post", "Sends a file of rows for a training", File, UploadForm, errors=_TRAINED),
    _Operation(
        "/v1/files", "get", "The files that are kept", FileList, errors=_TRAINED,
        query=_PAGE | {"order": "string", "purpose": "string"},
    ),
    _Operation("/v1/files/{id}", "get", "What is known of a file", File, errors=_TRAINED),
    _Operation("/v1/files/{id}", "delete", "Deletes a file", DeletedFile, errors=_TRAINED),
    _Operation("/v1/files/{id}/content", "get", "A file as it came", bytes, errors=_TRAINED),
    _Operation(
        "/v1/fine_tuning/jobs", "post", "Trains an adapter from rows", FineTuningJob, FineTuningRequest,
        errors=_TRAINED,
    ),
    _Operation("/v1/fine_tuning/jobs", "get", "Trainings", FineTuningJobList, errors=_TRAINED, query=_PAGE),
    _Operation("/v1/fine_tuning/jobs/{id}", "get", "A training", FineTuningJob, errors=_TRAINED),
    _Operation(
        "/v1/fine_tuning/jobs/{id}/events", "get", "What a training told", FineTuningEventList, errors=_TRAINED,
        query=_PAGE,
    ),
    _Operation(
        "/v1/fine_tuning/jobs/{id}/checkpoints", "get", "There are none", CheckpointList, errors=_TRAINED
    ),
    _Operation("/v1/fine_tuning/jobs/{id}/cancel", "post", "Ends a training", FineTuningJob, errors=_TRAINED),
    _Operation("/v1/pack", "get", "The pack that answers", Pack, errors=(401, 403)),
    _Operation("/health", "get", "Whether the server is there", Health),
    _Operation("/metrics", "get", "What the server counts, for Prometheus", str),
)  # fmt: skip


@cache
def openapi() -> dict[str, Any]:
    """The document, as JSON."""
    named = (model for one in _OPERATIONS for model in (one.request, one.reply, one.event))
    models = [model for model in named if model is not None and model not in _MEDIA]
    adapters = {model: TypeAdapter(model) for model in (*models, ErrorReply)}
    inputs = [(model, _MODE, adapter) for model, adapter in adapters.items()]
    schemas, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
    by_model = {model: schema for (model, _), schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for one in _OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one, by_model)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dlp-local",
            "version": __version__,
            "description": "A routed assistant. Fields that are null count as left out.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(one: _Operation, schemas: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    schema = {"type": "string"} if one.reply in _MEDIA else schemas[one.reply]
    content: dict[str, Any] = {_MEDIA.get(one.reply, "application/json"): {"schema": schema}}
    if one.event:
        content["text/event-stream"] = {"schema": {"type": "string"}, "x-event": schemas[one.event]}
    error = {"application/json": {"schema": schemas[ErrorReply]}}
    operation: dict[str, Any] = {
        "summary": one.about,
        "responses": {
            "200": {"description": one.about, "content": content},
            **{str(status): {"description": "An error", "content": error} for status in one.errors},
        },
    }
    if one.request:
        kind = "multipart/form-data" if one.request is UploadForm else "application/json"
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schemas[one.request]}}}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": {"type": kind}} for name, kind in one.query.items()
    ]
    if "{id}" in one.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if parameters:
        operation["parameters"] = parameters
    return operation
