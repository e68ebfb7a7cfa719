"""A file that a client sends as a form: bounded, and on disk but for its first megabyte while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

import python_multipart  # noqa: F401 (starlette reads forms with it; imported here, it is told at the start if missing)
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from dlp_local.core.text import visible
from dlp_local.server.bodies import BODY, check_head, too_long
from dlp_local.server.errors import ApiError, ClientGoneError
from dlp_local.server.kept_folder import disk_told
from dlp_local.server.problems import first_problem
from dlp_local.server.requests.files import UploadForm

MOST_FIELDS, LONGEST_FIELD = 8, 1024
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come whole; `name` is what the client calls it."""

    name: str
    content: BinaryIO
    size: int


@asynccontextmanager
async def read_upload(request: Request, most_bytes: int) -> AsyncIterator[Upload]:
    """The file of a request; nothing is left of it at the end of the block.

    Raises `ApiError` for a body that is too long, no form or one with other fields, or for which there is no room, and
    `ClientGoneError`.
    """
    check_head(request, "multipart/form-data", "a form with a file", most_bytes)
    come = 0

    async def bounded() -> Message:
        nonlocal come
        message = await request.receive()
        come += len(message.get("body", b""))
        if come > most_bytes:
            raise too_long(most_bytes)
        return message

    try:
        with disk_told():
            form = await Request(request.scope, bounded).form(
                max_files=1, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD
            )
    except HTTPException as error:
        raise ApiError(400, f"the form cannot be read: {error.detail}", code=BODY) from None
    except UnicodeError:
        raise ApiError(400, "the form is not in the charset that its header names. Send UTF-8.", code=BODY) from None
    except ClientDisconnect:
        raise ClientGoneError from None
    try:
        yield _file_of(form)
    finally:
        await form.close()


def _file_of(form: FormData) -> Upload:
    """The file of a form whose other fields are right; raises `ApiError`."""
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise ApiError(
            400, "file: is missing (give a file, with its name).", param="file", code="missing_required_parameter"
        )
    fields = {name: b"" if isinstance(value, UploadFile) else value for name, value in form.items()}
    try:
        UploadForm.model_validate(fields)
    except ValidationError as error:
        raise first_problem(error, UploadForm, fields, {}) from None
    return Upload(_shown_name(file.filename or ""), file.file, file.size or 0)


def _shown_name(name: str) -> str:
    """The name of a file as it is shown, without the folders that it was in."""
    last = visible(name.replace("\\", "/").rpartition("/")[2])
    return last[:LONGEST_NAME] or "rows.jsonl"
