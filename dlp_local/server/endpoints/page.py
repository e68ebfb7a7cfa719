"""The page at `/` and its files: they ask nobody but this server, and nothing that a model writes is run in them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from dlp_local.server.errors import ApiError

FOLDER = Path(__file__).parent.parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Of the files that are served; what the system says of suffixes differs."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


async def page(request: Request) -> Response:
    """A chat that shows how each message is routed."""
    return _file(request, "index.html")


async def page_file(request: Request) -> Response:
    """A file of the page."""
    return _file(request, request.path_params["name"])


def _file(request: Request, name: str) -> Response:
    if name not in _files():
        raise ApiError(404, "the page has no such file.", code="not_found")
    content, tag = _files()[name]
    headers = {**HEADERS, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Each file of the page with its tag, by name."""
    paths = [path for path in FOLDER.iterdir() if path.suffix in TYPES]
    contents = {path.name: path.read_bytes() for path in paths}
    return {name: (content, f'"{hashlib.sha256(content).hexdigest()[:16]}"') for name, content in contents.items()}
