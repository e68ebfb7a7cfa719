"""`/v1/files`: rows for trainings, and what came of these."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from dlp_local.server.errors import ApiError
from dlp_local.server.file_store import StoredFile
from dlp_local.server.pages import page
from dlp_local.server.replies.files import DeletedFile, File, FileList
from dlp_local.server.service import owner_of, service_of
from dlp_local.server.uploads import read_upload

MOST_LISTED = 10_000


async def upload_file(request: Request) -> Response:
    """Keeps a file of rows."""
    service = service_of(request)
    async with read_upload(request, service.most_file_bytes) as upload:
        file = await asyncio.to_thread(
            service.files.add, owner_of(request), upload.name, "fine-tune", upload.content, upload.size
        )
    return JSONResponse(_reply(file))


async def list_files(request: Request) -> Response:
    """The files of who asks, the newest first."""
    files = await asyncio.to_thread(service_of(request).files.all, owner_of(request))
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise ApiError(400, 'order: give "asc" or "desc".', param="order", code="invalid_value")
    if order == "asc":
        files.reverse()
    if purpose := request.query_params.get("purpose"):
        files = [file for file in files if file.purpose == purpose]
    shown, has_more = page(request, files, lambda file: file.id, MOST_LISTED, MOST_LISTED)
    ids = [file.id for file in shown]
    return JSONResponse(
        FileList(
            object="list",
            data=[_reply(file) for file in shown],
            first_id=ids[0] if ids else None,
            last_id=ids[-1] if ids else None,
            has_more=has_more,
        )
    )


async def one_file(request: Request) -> Response:
    """What is known of a file."""
    return JSONResponse(_reply(await _asked(request)))


async def file_content(request: Request) -> Response:
    """A file as it came; a browser saves it and shows nothing of it."""
    file = await _asked(request)
    return FileResponse(
        service_of(request).files.path(file),
        media_type="application/octet-stream",
        filename=file.name,
        headers={"X-Content-Type-Options": "nosniff"},
    )


async def delete_file(request: Request) -> Response:
    """Deletes a file."""
    number = request.path_params["id"]
    if not await asyncio.to_thread(service_of(request).files.remove, owner_of(request), number):
        raise _no_file()
    return JSONResponse(DeletedFile(id=number, object="file", deleted=True))


async def _asked(request: Request) -> StoredFile:
    file = await asyncio.to_thread(service_of(request).files.get, owner_of(request), request.path_params["id"])
    if file is None:
        raise _no_file()
    return file


def _no_file() -> ApiError:
    return ApiError(404, "there is no file of this id.", code="file_not_found")


def _reply(file: StoredFile) -> File:
    return File(
        id=file.id,
        object="file",
        bytes=file.size,
        created_at=int(file.created),
        expires_at=None,
        filename=file.name,
        purpose=file.purpose,
        status="processed",
    )
