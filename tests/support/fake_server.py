"""What the fakes of inference servers have in common: each is known to its handler, and served in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any


class OfFake:
    """A handler that answers for the server's `fake`, and prints nothing."""

    server: Any

    @property
    def fake(self) -> Any:
        return self.server.fake

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(server: ThreadingHTTPServer, fake: Any) -> Iterator[None]:
    """Serves a fake, whose `url` is set, until the end of the block."""
    server.fake = fake  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
