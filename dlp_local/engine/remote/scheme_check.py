"""Whether a server at an https address speaks http alone. Some wait for a line of text for ever, and never say so."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing
from urllib.parse import urlsplit

from dlp_local.core.server_address import NO_TLS

HANDSHAKE = 1.0
"""Seconds after which a server that has not taken the handshake of https is asked by http."""

REPLY = 2.0
"""Seconds for a reply by http."""

_BAD_REQUEST = b"400"
"""What servers of https reply to http, where they reply."""


async def speaks_http_alone(url: str, tls: ssl.SSLContext) -> bool:
    """Whether a server takes no https and answers by http; False, too, where nothing answers."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        async with asyncio.timeout(HANDSHAKE):
            _, writer = await asyncio.open_connection(host, port, ssl=tls)
            writer.transport.abort()
            return False
    except ssl.SSLError as error:
        return error.reason == NO_TLS
    except TimeoutError:
        return await _answers_by_http(host, port)
    except OSError:
        return False


async def _answers_by_http(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(REPLY):
            reader, writer = await asyncio.open_connection(host, port)
            with closing(writer):
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                words = (await reader.readline()).split()
    except (OSError, ValueError):
        return False
    return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1] != _BAD_REQUEST
