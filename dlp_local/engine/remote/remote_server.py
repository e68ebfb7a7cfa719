"""What a server of another program's must do to be an engine here: the part that differs between such programs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Protocol

from dlp_local.core.answer_format import FormatFeature
from dlp_local.core.job import Cancellation
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Mix


@dataclass(frozen=True, slots=True)
class Description:
    """What a server says of itself."""

    name: str
    """The program and its version, for the receipt."""

    base: str
    """What it calls its backbone."""

    adapters: tuple[str, ...]
    """The adapters, or mixes, that are loaded there, as it calls them."""

    context_size: int
    """Tokens that fit, prompt and answer together."""

    concurrent_replies: int
    """Answers that it computes at a time."""

    format_features: frozenset[FormatFeature]
    """What it can do about the form of an answer."""

    notices: tuple[str, ...] = ()
    """What a user should know of it."""


@dataclass(frozen=True, slots=True)
class Request:
    """An answer to compute: the tokens of the prompt, at most so many tokens of an answer, how they are drawn, the
    grammar that it follows (GBNF; none: any text), and what is added to tokens' logits.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling
    grammar: str = ""
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """The next tokens of an answer; `text` where some that belong to it were not told."""

    tokens: tuple[int, ...]
    text: str = ""
    cached_tokens: int = 0
    """Of the prompt: those that the server still had, where it says so."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The server ended the answer."""

    reason: Literal["stop", "length"]


Pieces = Generator[Piece | Finish, None, None]
"""An answer as it comes; without `Finish` at its end where it was cancelled."""


class RemoteServer(Protocol):
    """One server. Every method may be called from any thread, and raise `EngineError` in plain words."""

    def describe(self) -> Description:
        """What it is, asked anew; raises where its backbone or its adapters are not those that are wanted."""

    def tokenize(self, text: str) -> list[int]:
        """The server's own tokens of a text, without any that open a prompt."""

    def prepare(self, mix: Mix) -> str:
        """Makes a mix ready, whose handle is to be released; raises `InputError` for an unknown adapter."""

    def stream(self, request: Request, handle: str, cancellation: Cancellation) -> Pieces:
        """The answer, piece by piece; raises `BrokenStreamError` where it breaks off."""

    def release(self, handle: str) -> None:
        """Says that a mix is no longer used by the one who prepared it."""

    def add_adapter(self, adapter: AdapterFile) -> None:
        """Makes an adapter known, in place of another one of its name.

        Raises `PackError` where it cannot be used, `EngineError` where the server does not have it and cannot load it;
        what was known before then stays.
        """

    def remove_adapter(self, name: str) -> None:
        """Forgets an adapter; raises `InputError` for an unknown one."""
