"""HTTP to one server: JSON asked for, and events as they come; bounded in size and time, and ended from any thread.

What comes is untrusted: nothing is followed to another host, no proxy is asked, and whatever is no answer of such a
server becomes an `EngineError` in plain words.
"""

from __future__ import annotations

import asyncio
import json
import queue
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dlp_local.core.errors import EngineError
from dlp_local.core.job import Cancellation
from dlp_local.engine.remote.scheme_check import speaks_http_alone

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT = 10.0
"""Seconds until a server must have taken the connection."""

MAX_BODY = 8 << 20
"""Bytes of an answer that is no stream; a list of models with chat templates has some 100,000."""

MAX_EVENT = 1 << 20
"""Bytes of one event of a stream."""

SHOWN = 300
"""Characters that are shown of what a server says."""

Result = TypeVar("Result")


class RefusedError(EngineError):
    """The server answered a request with an error: its status, what it says, and the parameter that it names."""

    def __init__(self, url: str, status: int, message: str, parameter: str = "") -> None:
        super().__init__(f"{url}: refuses the request ({status}: {message}).")
        self.status, self.message, self.parameter = status, message, parameter


class BrokenStreamError(EngineError):
    """A stream that had begun came to no end."""


class Connection:
    """A server at an address. `timeout`: seconds without a byte after which it counts as frozen. `key`: sent, if any.

    Every method may be called from any thread. It connects when it is first used.
    """

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self.url, self._key, self._timeout = url, key, timeout
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._tls = ssl.create_default_context() if url.startswith("https") else None
        self._scheme_is_checked = False
        self._closed = False

    def get(self, path: str) -> Any:
        """The JSON at a path; raises `RefusedError`, and `EngineError` where nothing, or nothing like it, answers."""
        return self._json(path, self._run(self._request("GET", path, None)))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON, or else the text, that comes of a request; raises as `get` does."""
        raw = self._run(self._request("POST", path, body))
        return self._json(path, raw) if raw[:1] in (b"{", b"[") else raw.decode("utf-8", "replace")

    def stream(self, path: str, body: Mapping[str, Any], cancellation: Cancellation) -> Iterator[dict[str, Any]]:
        """The events of a request, each a JSON object, up to `[DONE]`, its end or its cancellation.

        Raises as `get` does where none comes, and `BrokenStreamError` later on.
        """
        events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        running = self._start(self._pump(path, body, events))
        running.add_done_callback(lambda _: events.put(None))
        try:
            with cancellation.forwarded(running.cancel):
                while (event := events.get()) is not None:
                    yield event
            if not running.cancelled():
                running.result()
        finally:
            running.cancel()

    def close(self) -> None:
        """Ends every request and the connection."""
        with self._starting:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._shut(loop), loop)

    # ---- the thread that runs the requests ----

    def _start(self, request: Coroutine[Any, Any, Result]) -> Future[Result]:
        with self._starting:
            if self._closed:
                request.close()
                raise EngineError("the engine is closed. Open the assistant again.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                work = partial(_run_to_end, self._loop)
                threading.Thread(target=work, name="dlp-local remote engine", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(request, self._loop)

    def _run(self, request: Coroutine[Any, Any, Result]) -> Result:
        try:
            return self._start(request).result()
        except CancelledError:
            raise EngineError("the engine was closed meanwhile. Open the assistant again.") from None

    async def _shut(self, loop: asyncio.AbstractEventLoop) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        await loop.shutdown_asyncgens()
        loop.call_soon(loop.stop)

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx.Timeout(self._timeout, connect=min(CONNECT_TIMEOUT, self._timeout), pool=None),
                # Each request has a connection of its own: servers close idle ones just when the next request is sent.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                verify=self._tls or False,
                trust_env=False,
            )
        return self._client

    async def _check_scheme(self) -> None:
        """Raises `EngineError` where https is asked of a server of http; it is asked until it was found well."""
        if self._tls and not self._scheme_is_checked:
            if await speaks_http_alone(self.url, self._tls):
                plain = f"http://{self.url.removeprefix('https://')}"
                raise EngineError(f"{self.url}: speaks http, not https. Set engine.url to {plain}.")
            self._scheme_is_checked = True

    async def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        import httpx

        await self._check_scheme()
        try:
            async with self._http().stream(method, self.url + path, json=body) as response:
                return await self._checked_body(response)
        except httpx.HTTPError as error:
            raise EngineError(self._reason(error)) from None

    async def _pump(self, path: str, body: Mapping[str, Any], events: queue.SimpleQueue[dict[str, Any] | None]) -> None:
        """Hands over the events of a stream as they come."""
        import httpx

        begun = False
        try:
            async with self._http().stream("POST", self.url + path, json=body) as response:
                if response.status_code != 200:
                    await self._checked_body(response)
                async with aclosing(_event_data(response.aiter_bytes())) as parts:
                    async for data in parts:
                        if data == b"[DONE]":
                            return
                        event = self._json(path, data)
                        if not isinstance(event, dict):
                            raise BrokenStreamError(self._strange(path))
                        if error := event.get("error"):
                            raise BrokenStreamError(f"{self.url}: broke off: {_said(error)[0]}.")
                        begun = True
                        events.put(event)
        except httpx.HTTPError as error:
            if begun:
                raise BrokenStreamError(self._why_broken(error)) from None
            raise EngineError(self._reason(error)) from None
        except ValueError:
            raise BrokenStreamError(self._strange(path)) from None

    async def _checked_body(self, response: httpx.Response) -> bytes:
        """The whole of an answer; raises `RefusedError` for one that is an error, and `EngineError` for a long one."""
        raw = bytearray()
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > MAX_BODY:
                raise EngineError(self._strange(response.url.path))
        status = response.status_code
        if status in (401, 403):
            what = "refuses the key" if self._key else "asks for a key"
            raise EngineError(f"{self.url}: {what} ({status}). Name a file that holds it: engine.api_key_file.")
        if 300 <= status < 400:
            raise EngineError(f"{self.url}: points to another address ({status}). Set engine.url to that one.")
        if status == 503:
            raise EngineError(f"{self.url}: is not ready yet ({_refusal(bytes(raw))[0]}). Ask again in a moment.")
        if status >= 400:
            raise RefusedError(self.url, status, *_refusal(bytes(raw)))
        return bytes(raw)

    def _json(self, path: str, raw: bytes) -> Any:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise EngineError(self._strange(path)) from None

    def _strange(self, path: str) -> str:
        return f"{self.url}: what it answers to {path} is none of llama-server's or vLLM's. Look at engine.url."

    def _why_broken(self, error: httpx.HTTPError) -> str:
        """Why an answer ended in the middle; whoever asked for it is told elsewhere that it can be asked for again."""
        import httpx

        if isinstance(error, httpx.TimeoutException):
            return (
                f"{self.url}: gave no sign of life for {self._timeout:g} s; engine.response_timeout sets how long it "
                "may take."
            )
        return f"{self.url}: broke off in the middle of the answer. Look whether the server still runs."

    def _reason(self, error: httpx.HTTPError) -> str:
        """Why a request failed, and what to do."""
        import httpx

        if isinstance(error, httpx.ConnectTimeout):
            return f"{self.url}: does not take the connection within {CONNECT_TIMEOUT:g} s. Look at engine.url."
        if isinstance(error, httpx.TimeoutException):
            return (
                f"{self.url}: gave no sign of life for {self._timeout:g} s. "
                "Ask again; engine.response_timeout sets how long it may take."
            )
        said = str(error)[:SHOWN] or type(error).__name__
        if isinstance(error, httpx.ConnectError):
            if any(words in said for words in ("Name or service", "nodename", "getaddrinfo", "name resolution")):
                return f"{self.url}: this machine knows no such host. Look at engine.url."
            if "CERTIFICATE_VERIFY_FAILED" in said:
                return f"{self.url}: this machine does not trust its certificate ({said}). Look at engine.url."
            return (
                f"{self.url}: nothing answers there ({said}). Start the server: "
                "`dlp-local engine command llama-server` prints how; or look at engine.url."
            )
        return f"{self.url}: the connection broke off ({said}). Look whether the server still runs, and ask again."


def _run_to_end(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _event_data(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event of a stream (server-sent events); raises `ValueError` for one that is too long."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(rest) > MAX_EVENT:
            raise ValueError
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


def _refusal(raw: bytes) -> tuple[str, str]:
    """What a server says of an error, and the parameter that it names."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = raw.decode("utf-8", "replace")
    return _said(body.get("error", body) if isinstance(body, dict) else body)


def _said(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return _plain(error), ""
    return _plain(error.get("message") or error.get("detail") or "no reason given"), str(error.get("param") or "")


def _plain(said: Any) -> str:
    """One line that can be shown."""
    text = " ".join("".join(char if char.isprintable() else " " for char in str(said)).split())
    return text[:SHOWN].rstrip(".")
