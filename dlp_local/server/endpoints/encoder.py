"""`/v1/embeddings` and `/v1/route`: what the encoder and the router say, without the backbone."""

from __future__ import annotations

import base64
from functools import partial

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local.core.serialize import route_json
from dlp_local.server.bodies import parse_body, read_body
from dlp_local.server.disconnect import unless_gone
from dlp_local.server.errors import ApiError, blamed_on
from dlp_local.server.models import AUTO, ENCODER
from dlp_local.server.receipts import mix_header
from dlp_local.server.replies.embeddings import Embedding, EmbeddingList, EmbeddingUsage
from dlp_local.server.requests import embeddings as embedding_requests
from dlp_local.server.requests import route as route_requests
from dlp_local.server.service import Service, service_of

TEXTS_AT_ONCE = 32
"""So often it is looked whether the client is still there."""


async def embeddings(request: Request) -> Response:
    """The pack's encoder on one text or several."""
    service = service_of(request)
    body = parse_body(
        await read_body(request, service.most_bytes), embedding_requests.EmbeddingRequest, embedding_requests.UNUSED
    ).body
    if body.model not in (ENCODER, AUTO, service.assistant.name):
        raise ApiError(
            404, f"there is no encoder '{body.model[:64]}'. There is one: {ENCODER}.", param="model",
            code="model_not_found",
        )  # fmt: skip
    return JSONResponse(await unless_gone(request.receive, _embedded(service, body)))


async def _embedded(service: Service, body: embedding_requests.EmbeddingRequest) -> EmbeddingList:
    texts, vectors, tokens = body.texts(), list[list[float]](), 0
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = texts[start : start + TEXTS_AT_ONCE]
        with blamed_on("input"):
            of_these, count = await service.runner.call(partial(service.assistant.embed, some))
        vectors += of_these
        tokens += count
        if body.dimensions not in (None, len(vectors[0])):
            raise ApiError(
                400, f"dimensions: the encoder gives {len(vectors[0])}, and no fewer.", param="dimensions",
                code="invalid_value",
            )  # fmt: skip
    encode = _base64 if body.encoding_format == "base64" else list
    return EmbeddingList(
        object="list",
        model=body.model,
        data=[
            Embedding(object="embedding", index=index, embedding=encode(vector)) for index, vector in enumerate(vectors)
        ],
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _base64(vector: list[float]) -> str:
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()


async def route(request: Request) -> Response:
    """How a message would be routed."""
    service = service_of(request)
    body = parse_body(
        await read_body(request, service.most_bytes), route_requests.RouteRequest, route_requests.UNUSED
    ).body
    body.check(service.assistant.adapters)
    route_of = partial(
        service.assistant.route,
        body.text,
        previous_route=body.previous_route(),
        without=body.veto,
        split=body.split,
    )
    chosen = await service.runner.call(route_of)
    return JSONResponse(route_json(chosen), headers=mix_header(chosen))
