"""An assistant whose pack, router and engine are a server's; the conversation stays here."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.errors import InputError
from dlp_local.core.events import Event, PromptProgress, ReplyDone
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.option_defaults import OptionDefault, Source
from dlp_local.core.serialize import route_from_json
from dlp_local.core.server_address import Server
from dlp_local.core.settings import Settings
from dlp_local.core.text import check_message
from dlp_local.core.values import UNCHANGED, AdapterChange, AdapterInfo, Message, Mix, Route
from dlp_local.remote_assistant.answer import Question, answer_events
from dlp_local.remote_assistant.connection import ServerConnection

NO_CORRECTIONS = "corrections belong to the server's router. Make them on its machine, in a chat with its pack."
"""Why a message cannot be said to belong to another adapter."""


UNSET = ChatOptions()
"""Everything as the server has it."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Adapter(_Facts):
    name: str
    description: str = ""
    enabled: bool = True


class _Default(_Facts):
    value: Any
    base: Any
    source: Source


class _Pack(_Facts):
    """What `/v1/pack` says."""

    name: str
    greeting: str
    examples: list[str]
    adapters: list[_Adapter]
    context_size: int
    concurrent_replies: int
    option_defaults: dict[str, _Default]


def open_remote_assistant(server: Server, settings: Settings | None = None) -> RemoteAssistant:
    """Asks a server for its pack; raises `InputError` and `EngineError` where there is none that answers.

    Of `settings` of this machine, which do not count there, a notice is given.
    """
    connection = ServerConnection(server)
    try:
        pack = _Pack.model_validate(connection.json("/v1/pack"))
    except ValidationError:
        raise InputError(f"{server.url}: what answers there is no server of this version. Check the address.") from None
    return RemoteAssistant(connection, pack, settings.for_answers() if settings else ())


class RemoteAssistant:
    """Answers by a server. Nothing stays open between two requests, so each message tries anew."""

    def __init__(self, connection: ServerConnection, pack: _Pack, passed_over: Sequence[str] = ()) -> None:
        self._connection, self._pack, self._passed_over = connection, pack, passed_over

    @property
    def name(self) -> str:
        """The pack's name, and where it is."""
        return f"{self._pack.name} @ {urlsplit(self._connection.url).netloc}"

    @property
    def notices(self) -> tuple[str, ...]:
        """Which settings of this machine do not count; the name tells where the answers come from."""
        if not self._passed_over:
            return ()
        names = ", ".join(self._passed_over)
        return (f"What is set here of {names} does not count: the server answers by its own settings. Flags do.",)

    @property
    def pack_folder(self) -> None:
        """The pack is on the server."""

    @property
    def greeting(self) -> str:
        """What the pack says of itself."""
        return self._pack.greeting

    @property
    def examples(self) -> tuple[str, ...]:
        """Messages to try."""
        return tuple(self._pack.examples)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of the adapters that messages may go to."""
        return tuple(adapter.name for adapter in self._pack.adapters if adapter.enabled)

    @property
    def pack_adapters(self) -> tuple[AdapterInfo, ...]:
        """Every adapter of the pack, also those that are switched off."""
        return tuple(AdapterInfo(one.name, one.description, one.enabled) for one in self._pack.adapters)

    @property
    def read_only_reason(self) -> str:
        """Why the pack's adapters cannot be changed."""
        return f"the adapters are those of the server {self._connection.url}. Change them there, and start it anew."

    @property
    def option_defaults(self) -> Mapping[str, OptionDefault]:
        """What holds for the options that a conversation leaves alone."""
        return {
            name: OptionDefault(_frozen(default.value), _frozen(default.base), default.source)
            for name, default in self._pack.option_defaults.items()
        }

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self._pack.context_size

    @property
    def concurrent_replies(self) -> int:
        """How many replies the server computes at once."""
        return self._pack.concurrent_replies

    def reply(
        self,
        text: str,
        history: Sequence[Message] = (),
        *,
        mix: Mix | None = None,
        options: ChatOptions = UNSET,
        previous_route: Route | None = None,
        answer_prefix: str = "",
        begun_parts: Sequence[ReplyDone] | None = None,
        earlier_answers: Sequence[EarlierAnswer] = (),
    ) -> Job[Event]:
        """Answers a message, as `Assistant.reply`.

        The server finds the route of the turn before, and the parts of an answer that is gone on with, by itself.
        """

        def run(cancellation: Cancellation) -> Generator[Event, None, None]:
            check_message(text)
            question = Question(text, history, mix, options, answer_prefix, earlier_answers)
            yield from answer_events(self._connection, question, self.context_size, cancellation)

        return Job(run)

    def route(self, text: str, *, previous_route: Route | None = None, split: bool | None = None) -> Route:
        """The router's decision about a message, given the route of the turn before it."""
        check_message(text)
        previous = dict(previous_route.carried) if previous_route and previous_route.carried else None
        body = {"text": text, "previous": previous, "split": split}
        try:
            return route_from_json(self._connection.json("/v1/route", body))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self._connection.url}: its route cannot be read ({error}). Is it of this version?"
            ) from None

    def correct(self, text: str, right: str | None) -> None:
        """Raises `InputError`: a shared router is not changed from afar."""
        raise InputError(NO_CORRECTIONS)

    def add_adapter(self, source: str | Path, name: str, change: AdapterChange = UNCHANGED) -> str:
        """Raises `InputError`, as all that changes the pack."""
        raise InputError(self.read_only_reason)

    def remove_adapter(self, name: str) -> None:
        """Raises `InputError`."""
        raise InputError(self.read_only_reason)

    def set_adapter(self, name: str, change: AdapterChange) -> None:
        """Raises `InputError`."""
        raise InputError(self.read_only_reason)

    def warm(self, history: Sequence[Message], *, options: ChatOptions = UNSET) -> Job[PromptProgress]:
        """Nothing: the server keeps what it has read of a conversation."""

        def run(_: Cancellation) -> Generator[PromptProgress, None, None]:
            yield from ()

        return Job(run)

    def refresh_if_changed(self) -> bool:
        """Nothing: the server knows its own pack."""
        return False

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> RemoteAssistant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
