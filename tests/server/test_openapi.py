"""The server keeps to the document that it publishes, whatever it is sent."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dlp_local.server.replies.chat import ChatCompletion
from dlp_local.server.replies.completions import Completion
from dlp_local.server.replies.embeddings import EmbeddingList, RouteReply
from dlp_local.server.replies.responses import Response
from dlp_local.server.replies.status import ErrorReply

MESSAGE = {"role": "user", "content": "to ISO: 4 July 1999"}
ENDPOINTS = {
    "/v1/chat/completions": ({"model": "dates", "messages": [MESSAGE], "max_tokens": 1}, ChatCompletion),
    "/v1/completions": ({"model": "dates", "prompt": "to ISO: 4 July 1999", "max_tokens": 1}, Completion),
    "/v1/responses": ({"model": "dates", "input": [MESSAGE], "max_output_tokens": 1}, Response),
    "/v1/embeddings": ({"input": ["a", "b"]}, EmbeddingList),
    "/v1/route": ({"text": "to ISO: 4 July 1999"}, RouteReply),
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "name", "function", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def document(http):
    return http.get("/openapi.json").json()


def test_every_endpoint_is_in_the_document(server, document):
    served = {
        (route.path.replace(":path", ""), method.lower())
        for route in server.server.config.app.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and route.path.startswith(("/v1/", "/health", "/metrics"))
    }
    assert served == {(path, method) for path, methods in document["paths"].items() for method in methods}


def test_every_reference_of_the_document_is_in_it(document):
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names == document["components"]["schemas"].keys()


@pytest.mark.parametrize("path", ENDPOINTS)
def test_any_field_of_any_value_is_answered_or_refused_as_the_document_says(http, document, path):
    """A request that is right but for one field."""
    right, reply = ENDPOINTS[path]
    operation = document["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/")[-1]
    fields = [*document["components"]["schemas"][schema]["properties"], "user", "mirostat"]

    @settings(max_examples=20, suppress_health_check=list(HealthCheck), database=None)
    @given(field=st.sampled_from(fields), value=VALUES)
    def check(field, value):
        answer = http.post(path, json=right | {field: value})
        assert str(answer.status_code) in operation["responses"]
        assert answer.status_code < 500
        if answer.status_code == 200 and answer.headers["content-type"] == "application/json":
            TypeAdapter(reply).validate_json(answer.content, strict=True)
        elif answer.status_code != 200:
            TypeAdapter(ErrorReply).validate_json(answer.content, strict=True)

    check()


def test_what_is_no_json_object_is_refused(http):
    headers = {"Content-Type": "application/json"}
    for body in (
        b"",
        b"[1]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"text": "a", "previous": {"dates": Infinity}}',
        b'{"text": "\\ud800"}',
        b"1" * 5000,
    ):
        answer = http.post("/v1/route", content=body, headers=headers)
        assert answer.status_code == 400, body[:20]
        assert answer.json()["error"]["code"], body[:20]
        TypeAdapter(ErrorReply).validate_json(answer.content, strict=True)
