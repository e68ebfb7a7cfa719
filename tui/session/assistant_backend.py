"""What the session needs of `dlp_local.assistant.Assistant`, and no more; tests put a scripted one in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dlp_local.conversation_turn import Replying
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import PromptProgress
from dlp_local.core.job import Job
from dlp_local.core.option_defaults import OptionDefault
from dlp_local.core.values import AdapterChange, AdapterInfo, Message, Route


class AssistantBackend(Replying, Protocol):
    """A pack that answers. All methods but `correct` and `route` are called from one thread."""

    @property
    def name(self) -> str:
        """The pack's name."""

    @property
    def pack_folder(self) -> Path | None:
        """Where the pack is; nowhere on this machine where it is a server's."""

    @property
    def notices(self) -> Sequence[str]:
        """What a user must know of the pack as it was opened, that its context is cut, say."""

    @property
    def greeting(self) -> str:
        """What the pack says of itself."""

    @property
    def examples(self) -> Sequence[str]:
        """Messages to try."""

    @property
    def adapters(self) -> Sequence[str]:
        """The names of the adapters that messages may go to."""

    @property
    def pack_adapters(self) -> Sequence[AdapterInfo]:
        """Every adapter of the pack, also those that are switched off."""

    @property
    def read_only_reason(self) -> str:
        """Why the pack's adapters cannot be changed, and what to do then; empty where they can."""

    @property
    def option_defaults(self) -> Mapping[str, OptionDefault]:
        """What holds for the options that a conversation leaves alone, by name."""

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""

    def add_adapter(self, source: str | Path, name: str, change: AdapterChange = ...) -> str:
        """Adds an adapter to the pack and to what runs; gives what else is to be said of it, or nothing.

        Raises `DlpLocalError` where it does not fit.
        """

    def remove_adapter(self, name: str) -> None:
        """Takes an adapter out of the pack and out of what runs; raises `InputError` for an unknown one."""

    def set_adapter(self, name: str, change: AdapterChange) -> None:
        """Changes what the pack says of an adapter; it holds from the next message on."""

    def refresh_if_changed(self) -> bool:
        """Takes over what another program changed in the pack; gives whether there was something.

        Raises `DlpLocalError`, once for each change, where that cannot be; what was open goes on then.
        """

    def route(self, text: str, *, previous_route: Route | None = None) -> Route:
        """The router's decision about a message, given the route of the turn before it."""

    def correct(self, text: str, right: str | None) -> None:
        """A message, and what is almost the same, belongs to the adapter `right` (or `base`) from now on.

        None takes back what was said of it.
        """

    def warm(self, history: Sequence[Message], *, options: ChatOptions = ...) -> Job[PromptProgress]:
        """Prepares for the next message in idle time."""

    def close(self) -> None:
        """Ends what runs."""


OpenAssistant = Callable[[str | None], AssistantBackend]
"""Opens the pack of a name, or, for None, the one of the settings."""


def pack_facts(assistant: AssistantBackend) -> dict[str, Any]:
    """What the status says of a pack."""
    return {
        "name": assistant.name,
        "pack_folder": assistant.pack_folder,
        "greeting": assistant.greeting,
        "examples": tuple(assistant.examples),
        "option_defaults": assistant.option_defaults,
        "context_size": assistant.context_size,
        "read_only_reason": assistant.read_only_reason,
        "adapters": tuple(assistant.adapters),
        "pack_adapters": tuple(assistant.pack_adapters),
    }
