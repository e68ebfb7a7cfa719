"""Errors as OpenAI's clients read them: a status and an envelope with message, type, param and code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.responses import JSONResponse

from dlp_local.core.errors import DlpLocalError, InputError

INVALID, FAILED, LIMITED = "invalid_request_error", "server_error", "rate_limit_error"


class ApiError(Exception):
    """What a client is told instead of an answer; `extra` stands beside the envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.message = message
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    @property
    def kind(self) -> str:
        """The envelope's `type`."""
        if self.status == 429:
            return LIMITED
        return FAILED if self.status >= 500 else INVALID

    def body(self) -> dict[str, Any]:
        """The JSON of the error."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error, **self.extra}

    def response(self) -> JSONResponse:
        """The whole reply."""
        return JSONResponse(self.body(), self.status, self.headers)


@contextmanager
def blamed_on(param: str | None, code: str = "invalid_value") -> Iterator[None]:
    """Blames what cannot be used on a field of the request, or None: its `InputError` becomes an `ApiError` (400)."""
    try:
        yield
    except InputError as error:
        raise ApiError(400, str(error), param=param, code=code) from None


class ClientGoneError(Exception):
    """The client closed its connection, or its half of it, before the answer was whole."""


def as_api_error(error: BaseException) -> ApiError:
    """What a client is told of an error: those of the project as they are, of any other only that there was one."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InputError):
        return ApiError(400, str(error), code="invalid_value")
    if isinstance(error, DlpLocalError):
        return ApiError(503, str(error), code="engine_failed")
    message = "Something unexpected happened in the server. Ask again; its log says what it was."
    return ApiError(500, message, code="internal_error")
