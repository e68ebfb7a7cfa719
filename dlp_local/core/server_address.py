"""Where a server is, and the key that one of `dlp-local serve` wants."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dlp_local.core.errors import InputError
from dlp_local.core.files import read_text

NO_TLS = "WRONG_VERSION_NUMBER"
"""How OpenSSL says that what came in reply is not TLS: the server speaks http alone."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, and the file that it was read from."""

    value: str
    file: Path

    @property
    def is_alone(self) -> bool:
        """Whether the file says nothing but the key, so that its text can be used as it is."""
        return read_text(self.file).strip() == self.value


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers, by its `server_url`, and the key that is sent to it, if any."""

    url: str
    key: str = ""


def server_url(text: str) -> str:
    """An address as a person writes it, without `/v1` and a slash at its end; raises `InputError` for what is none."""
    url = text.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https") or parts.query or parts.fragment or not url.isprintable():
        raise InputError(f"'{text}' is no address of a server. Give one like http://127.0.0.1:11500.")
    return url


def url_here(host: str, port: int) -> str:
    """Where what listens at a host is reached from this machine: 0.0.0.0 and :: are no addresses to connect to."""
    with suppress(ValueError):  # a name
        if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def read_key(file: Path) -> ApiKey:
    """The first key of a file, as `serve --api-key-file` reads them; raises `InputError` where it has none."""
    for line in map(str.strip, read_text(file).splitlines()):
        if line and not line.startswith("#"):
            if not line.isascii() or not line.isprintable():
                raise InputError(f"{file}: a key has ASCII characters alone. Look at its first line.")
            return ApiKey(line, file.resolve())
    raise InputError(f"{file}: holds no key. It has to be in a line of its own.")
