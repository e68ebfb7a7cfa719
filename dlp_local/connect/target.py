"""The server that a client is pointed at."""

from __future__ import annotations

from dataclasses import dataclass

from dlp_local.core.server_address import ApiKey


@dataclass(frozen=True, slots=True)
class Target:
    """A server, the model to ask there, and what must be known of both."""

    url: str
    """As `server_url` gives it."""

    model: str
    key: ApiKey | None
    context_size: int
    """Tokens of a prompt and its answer."""

    @property
    def api(self) -> str:
        """The address that OpenAI's clients call the base URL."""
        return f"{self.url}/v1"
