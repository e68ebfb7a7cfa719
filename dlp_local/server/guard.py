"""Who may ask at all: by the Host header, the page that a browser is on, and a key."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dlp_local.server.errors import ApiError
from dlp_local.server.keys import ApiKeys, mark_of

MOST_HEADER_BYTES = 32 << 10
USUAL_PORTS = {"http": 80, "https": 443}

PUBLIC = frozenset({"/", "/health", "/openapi.json"})
PUBLIC_FOLDER = "/page/"
"""What is read without a key: the page and its files, whether the server is there, and what it offers."""


class SiteGuard:
    """Refuses calls by a foreign name, from foreign web pages, and with endless headers.

    A page that lets its own name point to this machine (DNS rebinding) sends that name as the Host; addresses, which
    no page can borrow, localhost and the names in the settings are served. A browser says by Origin where a page is
    from.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        """`origins`: as `normal_origin` gives them."""
        self._app = app
        self._hosts = {host.lower().rstrip(".") for host in hosts}
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with 403 or 431."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                _check_size(headers)
                self._check_host(headers.getlist("host"))
                for origin in headers.getlist("origin"):
                    self._check_origin(origin, headers.get("host", ""))
            except ApiError as error:
                await error.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check_host(self, hosts: list[str]) -> None:
        name = _host_name(hosts[0]) if len(hosts) == 1 else ""
        if not (
            name and (name in self._hosts or name == "localhost" or name.endswith(".localhost") or _is_address(name))
        ):
            raise ApiError(
                403, "the Host header names none of this server's names. Call it by its address, or add the name to "
                "server.allowed_hosts.", code="host_not_allowed",
            )  # fmt: skip

    def _check_origin(self, origin: str, host: str) -> None:
        if origin.lower() in self._origins:
            return
        if origin.lower().partition("://")[2] != host.lower():
            raise ApiError(
                403, "web pages from elsewhere may not ask this server. Add the page's origin to server.origins.",
                code="origin_not_allowed",
            )  # fmt: skip


def normal_origin(origin: str) -> str:
    """An origin that a person wrote as browsers do: in small letters, without a slash at its end or the usual port."""
    origin = origin.strip().lower().rstrip("/")
    scheme = origin.partition("://")[0]
    return origin.removesuffix(f":{USUAL_PORTS[scheme]}") if scheme in USUAL_PORTS else origin


def headers_too_long() -> ApiError:
    """The refusal of endless headers."""
    return ApiError(
        431, f"the headers are longer than {MOST_HEADER_BYTES} bytes. Send less.", code="request_headers_too_large"
    )


def _check_size(headers: Headers) -> None:
    if sum(len(name) + len(value) for name, value in headers.raw) > MOST_HEADER_BYTES:
        raise headers_too_long()


def _host_name(host: str) -> str:
    try:
        address = urlsplit(f"//{host}")
        name = address.hostname or ""
    except ValueError:
        return ""
    return name.rstrip(".") if address.netloc == host and "@" not in host else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class KeyGuard:
    """Asks for a key, as `Authorization: Bearer` or `x-api-key`, and names its owner; without keys, the client.

    `scope["state"]["owner"]` is the mark of the key, "" where there are none, and `scope["state"]["client"]` by whom
    the queue takes turns.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with 401."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            name = self._keys.owner(_key(headers))
            if self._keys and not name and scope["path"] not in PUBLIC and not scope["path"].startswith(PUBLIC_FOLDER):
                await _refusal(bool(_key(headers))).response()(scope, receive, send)
                return
            mark = mark_of(_key(headers)) if name else ""
            scope.setdefault("state", {}).update(owner=mark, client=name or _caller(scope, headers))
        await self._app(scope, receive, send)


def _key(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()


def _caller(scope: Scope, headers: Headers) -> str:
    """The address and the program: on one machine every client has the same address."""
    address = scope["client"][0] if scope.get("client") else ""
    return f"{address} {headers.get('user-agent', '')[:200]}"


def _refusal(has_key: bool) -> ApiError:
    said = "the API key is wrong" if has_key else "there is no API key"
    return ApiError(
        401, f"{said}. Send the header Authorization: Bearer KEY, or x-api-key.", code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )  # fmt: skip
