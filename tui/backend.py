"""The seam between the window and the assistant: what the one needs of the other, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import Event
from dlp_local.core.job import Job
from dlp_local.core.values import AdapterChange, AdapterInfo, Message, Mix, Route


class AssistantBackend(Protocol):
    """What the session needs of `dlp_local.assistant.Assistant`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def notices(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def greeting(self) -> str: ...  # noqa: D102
    @property
    def examples(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def adapters(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def pack_adapters(self) -> Sequence[AdapterInfo]: ...  # noqa: D102
    @property
    def read_only_reason(self) -> str: ...  # noqa: D102
    @property
    def context_size(self) -> int: ...  # noqa: D102
    def reply(  # noqa: D102
        self,
        text: str,
        history: Sequence[Message] = (),
        *,
        mix: Mix | None = None,
        options: ChatOptions = ...,
        previous: Route | None = None,
        answer_prefix: str = "",
    ) -> Job[Event]: ...
    def add_adapter(self, source: str | Path, name: str, change: AdapterChange = ...) -> str: ...  # noqa: D102
    def remove_adapter(self, name: str) -> None: ...  # noqa: D102
    def set_adapter(self, name: str, change: AdapterChange) -> None: ...  # noqa: D102
    def correct(self, text: str, right: str) -> None: ...  # noqa: D102
    def warm(self, history: Sequence[Message], *, options: ChatOptions = ...) -> Job[None]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
