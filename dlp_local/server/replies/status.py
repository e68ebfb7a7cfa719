"""Errors, and whether the server is there."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from dlp_local.server.replies.chat import Receipt


class Health(TypedDict):
    """The reply to `/health`."""

    status: Literal["ok"]
    pack: str
    version: str


class Error(TypedDict):
    """What is wrong, and with which field of the request."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"]
    param: str | None
    code: str | None


class ErrorReply(TypedDict):
    """Any error; where an answer broke off, `dlp_local` has what had come of it and its receipt."""

    error: Error
    dlp_local: NotRequired[Receipt]
