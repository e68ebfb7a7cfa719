"""A llama-server that computes nothing: it has the adapters that it was started with, and no others, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dlp_local.core.values import AdapterFile
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.remote.known_adapters import KnownAdapters
from tests.support.fake_server import OfFake, served

ANSWER = "a fine answer"


@dataclass
class FakeLlamaServer:
    """`asked`: the name and the scale of each adapter, for each answer."""

    backbone: Path
    copies: dict[str, str]
    """What the copies of its adapters are called, each with the adapter's name."""

    url: str = ""
    asked: list[dict[str, float]] = field(default_factory=list)

    def tokens(self, text: str) -> list[int]:
        """The backbone's own tokens of a text."""
        with open_vocabulary(self.backbone) as vocabulary:
            return list(vocabulary.tokenize(text, special=False))


class _Handler(OfFake, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        replies = {
            "/v1/models": {"data": [{"id": "tiny", "owned_by": "llamacpp", "tags": ["cache-ram-0"]}]},
            "/props": {
                "build_info": "b1", "model_path": str(self.fake.backbone), "total_slots": 4,
                "default_generation_settings": {"n_ctx": 512},
            },
            "/lora-adapters": [
                {"id": number, "path": f"/there/{name}", "scale": 0.0} for number, name in enumerate(self.fake.copies)
            ],
        }  # fmt: skip
        self._send(json.dumps(replies[self.path]).encode())

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self._send(json.dumps({"tokens": self.fake.tokens(body["content"])}).encode())
            return
        names = list(self.fake.copies.values())
        self.fake.asked.append({names[entry["id"]]: entry["scale"] for entry in body["lora"]})
        event = {"tokens": self.fake.tokens(ANSWER), "content": ANSWER, "stop": True, "stop_type": "eos"}
        self._send(f"data: {json.dumps(event)}\n\n".encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running(backbone: Path, adapters: Sequence[AdapterFile]) -> Iterator[FakeLlamaServer]:
    """A fake that was started with the copies of these adapters, until the end of the block."""
    known = KnownAdapters(adapters)
    fake = FakeLlamaServer(backbone, {known.copy_name(file): file.name for file in adapters})
    with served(ThreadingHTTPServer(("127.0.0.1", 0), _Handler), fake):
        yield fake
