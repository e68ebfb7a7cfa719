"""`/v1/files`: the form in which a file comes."""

from __future__ import annotations

from typing import Literal

from dlp_local.server.bodies import RequestBody


class UploadForm(RequestBody):
    """A file of rows for a training, as `multipart/form-data`."""

    file: bytes
    purpose: Literal["fine-tune"]
