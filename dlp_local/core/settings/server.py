"""The settings of `dlp-local serve`: where it listens, who may ask, and how much at once."""

from __future__ import annotations

from pydantic import Field

from dlp_local.core.settings.group import Group


class Server(Group):
    """Answers to other programs over HTTP."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; any but loopback needs a key")
    port: int = Field(11500, ge=0, le=65535, description="0: any that is free")
    api_key_file: str = Field("", description="a file of keys, one a line; clients then have to send one")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="names by which clients may call it, beside addresses and localhost"
    )
    origins: tuple[str, ...] = Field(
        (), description="web pages elsewhere that may ask, as https://example.org; none: only its own"
    )
    log_requests: bool = Field(False, description="a line on stderr for each request; never its text")
    queue: int = Field(256, ge=1, le=100_000, description="answers that may wait for their turn; more are refused")
    connections: int = Field(2048, ge=8, le=100_000, description="connections at once")
    body_megabytes: int = Field(8, ge=1, le=1024, description="longest body of a request")
    bodies_megabytes: int = Field(256, ge=1, le=65_536, description="bodies of all requests that run or wait, together")
    messages: int = Field(2000, ge=1, le=100_000, description="most messages of a request")
    choices: int = Field(16, ge=1, le=128, description="most answers (n) of a request")
    read_timeout: float = Field(30.0, ge=1, le=3600, description="seconds in which a request must have come")
    stall_timeout: float = Field(
        30.0, ge=1, le=3600, description="seconds after which a client that reads nothing is left"
    )
    idle_timeout: int = Field(75, ge=1, le=3600, description="seconds that an unused connection is kept")
    answer_timeout: float = Field(600.0, ge=1, le=86_400, description="seconds after which an answer is cut off")
    shutdown_timeout: int = Field(30, ge=1, le=3600, description="seconds for running answers after Ctrl+C")
    stored_responses: int = Field(1000, ge=0, description="responses kept for previous_response_id, in memory")
    stored_megabytes: int = Field(64, ge=0, description="memory for them")
    file_megabytes: int = Field(64, ge=1, le=1024, description="longest file that a client sends, for a training")
    files_megabytes: int = Field(1024, ge=1, le=1_048_576, description="disk for all of them, until they are deleted")
    trainings: int = Field(16, ge=0, le=1000, description="trainings that run or wait; more are refused, 0: all are")
