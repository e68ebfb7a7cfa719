"""`/v1/embeddings`: the request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dlp_local.server.bodies import HARMLESS, RequestBody, Unused
from dlp_local.server.errors import ApiError
from dlp_local.server.models import ENCODER

UNUSED = Unused(HARMLESS)
MOST_TEXTS = 2048


class EmbeddingRequest(RequestBody):
    """Texts for the pack's sentence encoder."""

    input: str | list[str] = Field(description=f"one text or up to {MOST_TEXTS}")
    model: str = Field(ENCODER, description="encoder")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="has to be that of the encoder, if it is given")

    def texts(self) -> list[str]:
        """The texts; raises `ApiError`."""
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not 0 < len(texts) <= MOST_TEXTS:
            raise ApiError(400, f"input: give 1 to {MOST_TEXTS} texts.", param="input", code="invalid_value")
        for number, text in enumerate(texts):
            if not text:
                place = f"input[{number}]"
                raise ApiError(400, f"{place}: is empty.", param=place, code="invalid_value")
        return texts
