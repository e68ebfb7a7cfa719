"""A vLLM that computes nothing: its addresses, payloads and errors over real HTTP, with faults on demand."""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dlp_local.engine.local.model_file import open_vocabulary
from tests.support.fake_server import OfFake, served

CONTEXT = 512


@dataclass
class Fault:
    """What one request gets in place of its answer; with `hangs`, nothing until the fake ends."""

    status: int = 200
    body: bytes = b""
    hangs: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def _error(status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> Fault:
    """An error as vLLM words it."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": status}}
    return Fault(status, json.dumps(body).encode())


@dataclass
class FakeVLLM:
    """Answers with the tokens of `answer`; `seen`: (path, body) of each request."""

    tokenize: Callable[[str], list[int]]
    piece: Callable[[int], bytes]
    url: str = ""
    answer: str = "a fine answer"
    end: tuple[int, ...] = ()
    finish_reason: str = "stop"
    cut_after: int | None = None
    """Pieces after which the connection is cut."""

    error_after: int | None = None
    """Pieces after which an error comes in the stream."""

    hold: threading.Event | None = None
    """What the stream waits for after its first piece."""

    max_rank: int = 64
    updating: bool = True
    key: str = ""
    owner: str = "vllm"
    tells_tokens: bool = True
    loaded: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    before: Callable[[str, dict[str, Any]], object] = lambda path, body: None
    """Is told of each request before it is answered, which waits for that."""

    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a client left in the middle of a stream."""

    ended: threading.Event = field(default_factory=threading.Event)

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests for a path."""
        return [body for seen, body in self.seen if seen == path]


class _Handler(OfFake, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._is_faulty({}):
            return
        if self.path == "/version":
            self._json({"version": "0.32.0"})
        elif self.path == "/v1/models":
            common = {"object": "model", "created": 1, "owned_by": self.fake.owner}
            base = {"id": "tiny", "root": "/models/tiny", "parent": None, "max_model_len": CONTEXT}
            adapters = [{"id": name, "root": root, "parent": "tiny"} for name, root in self.fake.loaded.items()]
            self._json({"object": "list", "data": [common | model for model in (base, *adapters)]})
        else:
            self._send(Fault(404, b'{"detail":"Not Found"}'))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.fake.before(self.path, body)
        if self._is_faulty(body):
            return
        match self.path:
            case "/tokenize":
                tokens = self.fake.tokenize(body["prompt"])
                self._json({"tokens": tokens, "count": len(tokens), "max_model_len": CONTEXT})
            case "/v1/load_lora_adapter" if self.fake.updating:
                self._send(self._load(body["lora_name"], Path(body["lora_path"])))
            case "/v1/unload_lora_adapter" if self.fake.updating:
                self._send(self._unload(body["lora_name"]))
            case "/v1/completions":
                self._complete(body)
            case _:
                self._send(Fault(404, b'{"detail":"Not Found"}'))

    def _is_faulty(self, body: dict[str, Any]) -> bool:
        self.fake.seen.append((self.path, body))
        if self.fake.key and self.headers.get("Authorization") != f"Bearer {self.fake.key}":
            self._send(Fault(401, b'{"error":"Unauthorized"}'))
            return True
        if faults := self.fake.faults[self.path]:
            fault = faults.pop(0)
            if fault.hangs:
                self.fake.ended.wait(60)
                self.close_connection = True
            else:
                self._send(fault)
            return True
        return False

    def _load(self, name: str, folder: Path) -> Fault:
        if name in self.fake.loaded:
            return _error(400, f"The lora adapter '{name}' has already been loaded.", "InvalidUserInput")
        if not (folder / "adapter_config.json").is_file():
            return _error(404, f"Loading lora {name} failed: No adapter found for {folder}", "NotFoundError")
        config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        if "alora_invocation_tokens" in config or config["r"] > self.fake.max_rank:
            message = f"LoRA rank {config['r']} is greater than max_lora_rank {self.fake.max_rank}."
            return _error(500, message, "InternalServerError")
        self.fake.loaded[name] = str(folder)
        return Fault(body=f"Success: LoRA adapter '{name}' added successfully.".encode())

    def _unload(self, name: str) -> Fault:
        if self.fake.loaded.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        return Fault(body=f"Success: LoRA adapter '{name}' removed successfully.".encode())

    def _complete(self, body: dict[str, Any]) -> None:
        fake = self.fake
        if body["model"] not in ("tiny", *fake.loaded):
            self._send(_error(404, f"The model `{body['model']}` does not exist.", "NotFoundError", "model"))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        tokens = [*fake.tokenize(fake.answer), *fake.end]
        reason = fake.finish_reason
        if len(tokens) > body["max_tokens"]:
            tokens, reason = tokens[: body["max_tokens"]], "length"
        try:
            for number, token in enumerate(tokens):
                if number == fake.cut_after:
                    self.close_connection = True
                    return
                if number == fake.error_after:
                    self._event({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}})
                    break
                self._event(self._chunk([token], reason if number == len(tokens) - 1 else None))
                if number == 0 and fake.hold:
                    self._wait_for_client(fake.hold)
            self._chunked(b"data: [DONE]\n\n")
            self._chunked(b"")
        except OSError:
            fake.gone.set()

    def _wait_for_client(self, hold: threading.Event) -> None:
        """Until the test lets it go on; a client that leaves is noticed as vLLM does, by its connection's end."""
        self.connection.settimeout(0.02)
        while not hold.is_set() and not self.fake.ended.is_set():
            try:
                if self.connection.recv(1) == b"":
                    raise ConnectionResetError
            except TimeoutError:
                continue
        self.connection.settimeout(None)

    def _chunk(self, tokens: list[int], reason: str | None) -> dict[str, Any]:
        text = b"".join(map(self.fake.piece, tokens)).decode("utf-8", "replace")
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason, "stop_reason": None}
        return {
            "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "tiny",
            "choices": [choice | ({"token_ids": tokens} if self.fake.tells_tokens else {})],
        }  # fmt: skip

    def _event(self, event: dict[str, Any]) -> None:
        self._chunked(f"data: {json.dumps(event)}\n\n".encode())

    def _chunked(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _json(self, body: Any) -> None:
        self._send(Fault(body=json.dumps(body).encode()))

    def _send(self, fault: Fault) -> None:
        self.send_response(fault.status)
        for name, value in {**fault.headers, "Content-Length": str(len(fault.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(fault.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is nothing to print."""


@contextmanager
def running(backbone: Path) -> Iterator[FakeVLLM]:
    """A fake for a backbone, whose vocabulary it has, that answers until the end of the block.

    A thread that still answers somebody who has left finds an empty vocabulary after that.
    """
    with open_vocabulary(backbone) as vocabulary:
        reading = threading.Lock()

        def tokenize(text: str) -> list[int]:
            with reading:
                return [] if fake.ended.is_set() else list(vocabulary.tokenize(text, special=False))

        def piece(token: int) -> bytes:
            with reading:
                return b"" if fake.ended.is_set() else vocabulary.piece(token)

        fake = FakeVLLM(tokenize, piece)
        with served(_Server(("127.0.0.1", 0), _Handler), fake):
            try:
                yield fake
            finally:
                with reading:
                    fake.ended.set()


def hash_of(name: str) -> str:
    """The part of a mix's name that says its content."""
    match = re.fullmatch(r"dlp-local-.*-([0-9a-f]{12})", name)
    assert match, name
    return match[1]
