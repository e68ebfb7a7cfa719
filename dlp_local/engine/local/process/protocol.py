"""What the window's process and the engine's process say to each other: frozen records, pickled, over two pipes.

The parent sends requests, each with a number of its own. The child answers each with any number of `Happened` and then
one `Finished` or `Failed`; it runs them one after the other, but for `Cancel`, which works at once.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dlp_local.core import settings
from dlp_local.core.events import Generated, HistoryTrimmed, TextDelta
from dlp_local.core.values import AdapterFile, Message, Mix, Scope


@dataclass(frozen=True, slots=True)
class Open:
    """Load a backbone; its one event is `Opened`."""

    backbone: Path
    adapters: tuple[AdapterFile, ...]
    options: settings.Engine


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer a conversation."""

    messages: tuple[Message, ...]
    mix: Mix
    sampling: settings.Sampling
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Warm:
    """Compute a finished conversation onto the spine."""

    history: tuple[Message, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class AddAdapter:
    """Load an adapter, in place of another one of its name."""

    file: AdapterFile


@dataclass(frozen=True, slots=True)
class RemoveAdapter:
    """Unload an adapter."""

    name: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the request whose number this has, running or still waiting."""


Task = Open | Generate | Warm | AddAdapter | RemoveAdapter | Cancel


@dataclass(frozen=True, slots=True)
class Request:
    """A numbered task."""

    number: int
    task: Task


@dataclass(frozen=True, slots=True)
class Opened:
    """The backbone is loaded."""

    context_size: int


EngineEvent = Opened | HistoryTrimmed | TextDelta | Generated


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a request."""

    number: int
    event: EngineEvent


@dataclass(frozen=True, slots=True)
class Finished:
    """A request is done."""

    number: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A request ended with an error of the project's own family: the name of its class, and its text."""

    number: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The heartbeat."""


Reply = Happened | Finished | Failed | Alive


def send(pipe: BinaryIO, record: Request | Reply) -> None:
    """Writes a record; raises `OSError` where nobody reads any more."""
    pipe.write(pickle.dumps(record))
    pipe.flush()


def receive(pipe: BinaryIO) -> Request | Reply | None:
    """Waits for the next record of our own parent or child; None at the end, also in the middle of a record."""
    try:
        return pickle.load(pipe)  # type: ignore[no-any-return]
    except (EOFError, pickle.UnpicklingError, OSError, ValueError):
        return None
