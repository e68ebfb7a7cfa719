"""Files of trainings."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class File(TypedDict):
    """A file that a client sent, or the losses of a training."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: None
    filename: str
    purpose: Literal["fine-tune", "fine-tune-results"]
    status: Literal["processed"]


class FileList(TypedDict):
    """Files; `has_more`: there are others after the last one."""

    object: Literal["list"]
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(TypedDict):
    """A file that is no more."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]
