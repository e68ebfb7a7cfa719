"""Whether a server at an https address speaks http alone, also one that says nothing until it has read a line."""

import asyncio
import socket
import ssl
import threading
from contextlib import closing, contextmanager

import pytest

from dlp_local.engine.remote import scheme_check
from dlp_local.engine.remote.scheme_check import speaks_http_alone


@contextmanager
def reading_lines(reply):
    """A server that reads a line of text from each connection, however long that takes, and then replies."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def answer(connection):
            with connection, connection.makefile("rb") as request:
                if request.readline().isascii():
                    connection.sendall(reply)
                else:
                    request.read()

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def asked(url):
    return asyncio.run(speaks_http_alone(url, ssl.create_default_context()))


@pytest.mark.parametrize(
    ("reply", "is_http"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"", False),
    ],
)
def test_a_server_that_is_silent_at_a_handshake_is_asked_by_http(monkeypatch, reply, is_http):
    monkeypatch.setattr(scheme_check, "HANDSHAKE", 0.2)
    with reading_lines(reply) as url:
        assert asked(url) is is_http


def test_where_nothing_answers_it_is_not_http():
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    assert asked(f"https://127.0.0.1:{port}") is False
