"""A hub on loopback: the three addresses that a pull asks for, over real HTTP, with faults on demand."""

import hashlib
import json
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from dlp_local.core.paths import downloads_folder
from dlp_local.hub.choice import parse_reference

MODEL = parse_reference("hf:ana/model-GGUF")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000
"""From so many bytes on a file is kept as Git LFS: redirected to another host, and stated with its sha256."""


class Told:
    """A progress that remembers what it is told."""

    def __init__(self):
        self.positions = []
        self.notes = []

    def at(self, file, done):
        self.positions.append(done)

    def note(self, text):
        self.notes.append(text)


@dataclass
class Repo:
    """A repository: path → content."""

    files: dict[str, bytes]
    commit: str = COMMIT
    card: dict = field(default_factory=lambda: {"license": "apache-2.0"})
    gated: bool = False


@dataclass
class Answer:
    """What one request for a file gets instead of the file."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    pause: float = 0.0
    content: bytes | None = None
    ignore_range: bool = False


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]


class Hub:
    """Repositories by name; `faults` by path (`api` for the listing), used up one request after another."""

    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.faults: dict[str, list[Answer]] = defaultdict(list)
        self.seen: list[Seen] = []
        self.url = self.cdn = ""

    def asked(self, part):
        """The requests whose path has `part` in it."""
        return [seen for seen in self.seen if part in seen.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.seen.append(Seen(self.path, {name.lower(): value for name, value in self.headers.items()}))
        if path.startswith("/api/models/"):
            self._listing(hub, path.removeprefix("/api/models/"))
        elif path.startswith("/cdn/"):
            _, _, owner, name, file = path.split("/", 4)
            self._bytes(hub, file, hub.repos[f"{owner}/{name}"].files[file])
        else:
            self._resolve(hub, path)

    def _listing(self, hub, rest):
        name, _, revision = rest.partition("/revision/")
        repo = hub.repos.get(name)
        if hub.faults["api"]:
            fault = hub.faults["api"].pop(0)
            self._send(fault.status, b'{"error": "no"}' if fault.content is None else fault.content, **fault.headers)
        elif repo is None:
            self._send(401, b'{"error": "Invalid username or password."}', **{"X-Error-Code": "RepoNotFound"})
        elif revision and revision not in (repo.commit, "main"):
            self._send(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
        else:
            siblings = [_sibling(path, content) for path, content in repo.files.items()]
            info = {"id": name, "sha": repo.commit, "cardData": repo.card, "siblings": siblings}
            self._send(200, json.dumps(info).encode())

    def _resolve(self, hub, path):
        repo_name, _, rest = path.lstrip("/").partition("/resolve/")
        commit, _, file = rest.partition("/")
        repo = hub.repos[repo_name]
        if repo.gated and "authorization" not in {name.lower() for name in self.headers}:
            self._send(401, b"restricted", **{"X-Error-Code": "GatedRepo"})
        elif commit != repo.commit or file not in repo.files:
            self._send(404, b"", **{"X-Error-Code": "EntryNotFound"})
        elif len(repo.files[file]) >= LARGE:
            self._send(302, b"", Location=f"{hub.cdn}/cdn/{repo_name}/{file}")
        else:
            self._bytes(hub, file, repo.files[file])

    def _bytes(self, hub, path, content):
        fault = hub.faults[path].pop(0) if hub.faults[path] else Answer()
        if fault.status >= 400:
            self._send(fault.status, b"", **fault.headers)
            return
        content = content if fault.content is None else fault.content
        start, headers = 0, {}
        if (wanted := self.headers.get("Range")) and not fault.ignore_range:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self._send(416, b"", **{"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        self.send_response(206 if headers else 200)
        for name, value in {**headers, **fault.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        sent = body if fault.cut_after is None else body[: fault.cut_after]
        for at in range(0, len(sent), 1 << 16):
            try:
                self.wfile.write(sent[at : at + (1 << 16)])
            except OSError:
                break
            time.sleep(fault.pause)
        if len(sent) < len(body):
            self.close_connection = True

    def _send(self, status, body, **headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _sibling(path, content):
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    stated = {"rfilename": path, "size": len(content), "blobId": git}
    if len(content) >= LARGE:
        stated["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return stated


def parts():
    """The files that are not complete yet."""
    return list((downloads_folder() / "parts").iterdir())


@contextmanager
def running():
    """A hub that answers until the end of the block; its files are redirected to another origin of the same machine."""
    hub = Hub()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _Handler) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.hub = hub
        server.daemon_threads = True
        thread.start()
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
