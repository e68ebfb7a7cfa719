"""What the client and the engine's process say to each other: frozen records, pickled, over two pipes.

The client sends requests, each with a number of its own. The process answers each with any number of `RequestEvent` and
then one `Finished` or `Failed`. Replies run beside each other, begun in the order of the requests; what changes the
adapters waits for those that use them, and `Cancel` works at once.

A pipe holds frames: four bytes, the length of what follows (big-endian), and a pickled record. What the process writes
begins with `START`: anything before that was printed by others, while Python started.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dlp_local.core import settings
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.events import PromptProgress
from dlp_local.core.values import AdapterFile, Message, Mix, Scope
from dlp_local.engine.base import EngineEvent

START = b"\x00dlp-local engine\x00"
"""Before the first frame that the process writes."""

MAX_PRELUDE = 1 << 20
"""Bytes that others may print before `START`."""

MAX_FRAME = 1 << 28
"""Bytes. No record comes near it; a longer frame is none."""

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Open:
    """Load a backbone; its one event is `Opened`."""

    backbone: Path
    adapters: tuple[AdapterFile, ...]
    options: settings.Engine


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look at a backbone without its weights; its one event is `Inspected`."""

    backbone: Path
    chat_template: str


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer a conversation."""

    messages: tuple[Message, ...]
    mix: Mix
    sampling: settings.Sampling
    scope: Scope | None = None
    answer_format: AnswerFormat = ANY_TEXT


@dataclass(frozen=True, slots=True)
class Warm:
    """Compute a finished conversation onto the spine."""

    history: tuple[Message, ...]
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class AddAdapter:
    """Load an adapter, in place of another one of its name."""

    file: AdapterFile


@dataclass(frozen=True, slots=True)
class RemoveAdapter:
    """Unload an adapter."""

    name: str


@dataclass(frozen=True, slots=True)
class StartAnew:
    """Keep nothing of what was computed; what runs is waited for."""


Task = Open | Inspect | Generate | Warm | AddAdapter | RemoveAdapter | StartAnew


@dataclass(frozen=True, slots=True)
class Request:
    """A numbered task."""

    number: int
    task: Task


@dataclass(frozen=True, slots=True)
class Requests:
    """Some requests that are all begun before anything is computed for one."""

    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the request of this number, running or still waiting."""

    number: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The backbone is loaded; tokens that fit its context."""

    context_size: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """What there is to say of a backbone; nothing where it is well."""

    notice: str


TaskEvent = Opened | Inspected | PromptProgress | EngineEvent


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """An event of a request."""

    number: int
    event: TaskEvent


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
class Heartbeat:
    """A sign of life."""


Response = RequestEvent | Finished | Failed | Heartbeat


class ProtocolError(Exception):
    """What came over a pipe is no message."""


def encode(record: Requests | Cancel | Response) -> bytes:
    """A record as one frame."""
    payload = pickle.dumps(record)
    return _LENGTH.pack(len(payload)) + payload


def receive(pipe: BinaryIO) -> Requests | Cancel | Response | None:
    """Waits for the next record; None at the end of the pipe.

    Raises `ProtocolError` for what is no record, an end in the middle of one included, and `OSError`.
    """
    head = pipe.read(_LENGTH.size)
    if not head:
        return None
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    payload = pipe.read(length) if length <= MAX_FRAME else b""
    if not payload or len(payload) != length:
        raise ProtocolError("a message is cut off or has no true length")
    try:
        record = pickle.loads(payload)
    except Exception as error:  # what cannot be unpickled may raise anything
        raise ProtocolError(f"a message cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(record, Requests | Cancel | Response):
        raise ProtocolError(f"a {type(record).__name__} is no message")
    return record


def skip_prelude(pipe: BinaryIO) -> bool:
    """Reads up to `START`; False where the pipe ended before it. Raises `ProtocolError` where it does not come."""
    read = bytearray()
    while not read.endswith(START):
        if len(read) > MAX_PRELUDE:
            raise ProtocolError("something else prints where the engine answers")
        byte = pipe.read(1)
        if not byte:
            return False
        read += byte
    return True
