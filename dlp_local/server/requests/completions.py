"""`/v1/completions`: the request."""

from __future__ import annotations

from pydantic import Field

from dlp_local.core.text import check_message
from dlp_local.server.bodies import Unused
from dlp_local.server.errors import ApiError
from dlp_local.server.requests.chat import StreamOptions
from dlp_local.server.requests.sampling import SamplingRequest

UNUSED = Unused(harmless=frozenset({"user"}))


class CompletionRequest(SamplingRequest):
    """Texts, each of which is answered like a user's message, by the model's own chat template."""

    prompt: str | list[str] = Field(description="one text or several")
    n: int = Field(1, ge=1, description="how many answers to each text")
    best_of: int | None = Field(None, ge=1, description="has to be n, if it is given")
    echo: bool = Field(False, description="whether each text stands before its answer")
    stream_options: StreamOptions | None = None

    def prompts(self) -> list[str]:
        """The texts; raises `ApiError`."""
        if self.best_of not in (None, self.n):
            raise ApiError(400, "best_of: has to be n. Leave it out.", param="best_of", code="invalid_value")
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if not prompts:
            raise ApiError(400, "prompt: is empty. Send a text.", param="prompt", code="invalid_value")
        for prompt in prompts:
            check_message(prompt)
        return prompts
