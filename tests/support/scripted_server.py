"""A server of dlp-local's API that replies by a script, and breaks off where it ends."""

import http.client
import json
import socket
import struct
import threading
from contextlib import closing, contextmanager

from dlp_local.core.server_address import Server

ROUTE = {"text": "hi", "mix": {"sql": 1.0}, "probabilities": {}, "timings_ms": {"embed": 1, "router": 1, "route": 2}}


@contextmanager
def scripted(*replies, reset_when=None):
    """A server that gives each connection one of these byte strings, and then closes it.

    `reset_when`: an event after which the last connection is reset.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve():
            for reply in replies:
                connection, _ = listening.accept()
                with connection, connection.makefile("rb") as request:
                    headers = http.client.parse_headers(request) if request.readline() else {}
                    request.read(int(headers.get("Content-Length", 0)))
                    connection.sendall(reply)
                    if reset_when and reply is replies[-1]:
                        reset_when.wait(30)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join(30)


def http_reply(body, status=200, kind="application/json"):
    text = body if isinstance(body, str) else json.dumps(body)
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n{text}".encode()


PACK = http_reply(
    {
        "name": "p",
        "greeting": "",
        "examples": [],
        "adapters": [],
        "context_size": 99,
        "concurrent_replies": 1,
        "option_defaults": {},
    }
)


def stream(*chunks):
    lines = [json.dumps({"choices": [{"delta": delta, "finish_reason": None}], **extra}) for delta, extra in chunks]
    return http_reply("".join(f": \n\ndata: {line}\n\n" for line in lines), kind="text/event-stream")


BEGUN = ({"role": "assistant", "content": ""}, {"dlp_local": ROUTE})
