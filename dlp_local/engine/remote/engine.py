"""A server of another program's as one `engine.base.Engine`: prompts are rendered here, and answers read here.

So nothing differs from the engine of this machine but who computes the next token: no message is left out by another
program's template, none is read as a control token, reasoning is told from the answer and histories are cut in the same
way. What that takes is the vocabulary in the backbone's file, which is opened here without its weights.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from dlp_local.core import settings
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.events import Generated, HistoryTrimmed, PromptProgress
from dlp_local.core.files import read_text
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.paths import user_path
from dlp_local.core.values import AdapterFile, Message, Mix, Scope
from dlp_local.engine.base import Capabilities, EngineEvent, Reply
from dlp_local.engine.context_fit import fit
from dlp_local.engine.gathering import Apart
from dlp_local.engine.prompt import PromptBuilder, Vocabulary
from dlp_local.engine.remote.connection import Connection
from dlp_local.engine.remote.find_server import find_server
from dlp_local.engine.remote.known_adapters import KnownAdapters
from dlp_local.engine.remote.remote_answer import RemoteAnswer
from dlp_local.engine.remote.remote_server import Description, RemoteServer, Request
from dlp_local.engine.template import ChatTemplate

PROBE = "The 3 naïve cats cost 12.50 €, they're said to be 猫 (\t42)."
"""A text whose tokens differ between most vocabularies."""


class FileVocabulary(Vocabulary, Protocol):
    """The vocabulary of a backbone's file, and its chat template."""

    def template(self, source: str) -> ChatTemplate:
        """The chat template of this source, else the file's own."""


OpenVocabulary = Callable[[Path], AbstractContextManager[FileVocabulary]]


@dataclass(frozen=True, slots=True)
class _Connected:
    """A server that was asked, and what prompts are made with."""

    server: RemoteServer
    description: Description
    vocabulary: Vocabulary
    prompts: PromptBuilder


class RemoteEngine:
    """An engine at `options.url`. It is asked what it is when it is first needed; that fails anew each time it fails.

    `open_vocabulary` opens the vocabulary of the backbone's file; `most_adapters`: as many as a mix has at most.
    """

    def __init__(
        self,
        pack: str,
        backbone: Path,
        adapters: Sequence[AdapterFile],
        options: settings.Engine,
        most_adapters: int,
        open_vocabulary: OpenVocabulary,
    ) -> None:
        self._pack, self._backbone, self._options, self._most_adapters = pack, backbone, options, most_adapters
        self._adapters = KnownAdapters(adapters)
        self._open_vocabulary = open_vocabulary
        key = read_text(user_path(options.api_key_file)).strip() if options.api_key_file else ""
        self._connection = Connection(options.url, key, options.response_timeout)
        self._opened = ExitStack()
        self._connecting, self._rendering, self._counting = threading.Lock(), threading.Lock(), threading.Lock()
        self._connected: _Connected | None = None
        self._users = 1  # the engine itself, until it is closed
        self._closed = False

    @property
    def description(self) -> Description:
        """What the server says of itself; raises what is wrong with it."""
        return self._ready().description

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        return self.description.context_size

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        description = self.description
        remote = f"{description.name} at {self._connection.url}"
        return Capabilities(frozenset({"context"}), description.concurrent_replies, description.format_features, remote)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of the engine."""
        return self.description.notices

    def _ready(self) -> _Connected:
        """The server, asked what it is, and the prompts for its backbone; raises what is wrong with either."""
        with self._connecting:
            if self._closed:
                raise EngineError("the engine is closed. Open the assistant again.")
            if self._connected is None:
                server = find_server(
                    self._connection, self._pack, self._backbone, self._adapters, self._options, self._most_adapters
                )
                description = server.describe()
                vocabulary = self._opened.enter_context(self._open_vocabulary(self._backbone))
                self._check_vocabulary(server, description, vocabulary)
                prompts = PromptBuilder(vocabulary, vocabulary.template(self._options.chat_template))
                self._connected = _Connected(server, description, vocabulary, prompts)
            return self._connected

    def _check_vocabulary(self, server: RemoteServer, description: Description, vocabulary: Vocabulary) -> None:
        """Raises `EngineError` where the server reads a text as other tokens: it has another backbone."""
        if server.tokenize(PROBE) != list(vocabulary.tokenize(PROBE, special=False)):
            raise EngineError(
                f"{self._connection.url}: its model, {description.base}, has another vocabulary than "
                f"{self._backbone.name}. Start it with the backbone of the pack '{self._pack}'."
            )

    def generate(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None = None,
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Reply:
        """See `engine.base.Engine`; where the answer breaks off, the last event is a `Generated` with the reason."""
        return Job(partial(self._reply, tuple(messages), mix, sampling, scope, answer_format))

    def together(self, members: int) -> AbstractContextManager[Apart]:
        """See `engine.base.Engine`; what is computed beside what is the server's to say, and nobody waits here."""
        return nullcontext(Apart())

    def _reply(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None,
        answer_format: AnswerFormat,
        cancellation: Cancellation,
    ) -> Generator[EngineEvent, None, None]:
        started = time.perf_counter()
        if scope == "turn":
            raise InputError(
                f"scope: adapters are on for the whole context at {self._connection.url}. Leave the scope out."
            )
        self.capabilities.check(answer_format)
        with self._using() as connected:
            context_size = connected.description.context_size
            with self._rendering:  # a chat template renders for one thread at a time
                prompt, dropped = fit(
                    connected.prompts, messages, context_size, sampling.max_tokens, answer_format.offered_tools
                )
            if dropped:
                yield HistoryTrimmed(dropped)
            tokens = tuple(token for turn in prompt.turns for token in turn)
            room = context_size - len(tokens)
            answer = RemoteAnswer(connected.vocabulary, connected.prompts, prompt, sampling.stop, answer_format)
            request = Request(
                tokens, min(sampling.max_tokens or room, room), sampling, answer.grammar, answer_format.logit_bias
            )
            handle = connected.server.prepare(mix)
            try:
                yield from answer.read(connected.server.stream(request, handle, cancellation))
            finally:
                connected.server.release(handle)
        now = time.perf_counter()
        yield Generated(
            finish_reason=answer.finish_reason,
            prompt_tokens=len(tokens),
            answer_tokens=answer.tokens,
            context_used=len(tokens) + answer.tokens,
            first_token_ms=((answer.first_token_at or now) - started) * 1000,
            total_ms=(now - started) * 1000,
            error=answer.error,
            cached_tokens=answer.cached_tokens,
        )

    def warm(self, history: Sequence[Message], max_tokens: int | None) -> Job[PromptProgress]:
        """Nothing: which mix the next message gets is not known yet, and the server has no use for the bare history."""
        return Job(_no_progress)

    def add_adapter(self, adapter: AdapterFile) -> None:
        """See `engine.base.Engine`; raises `EngineError` where the server does not have it and cannot load it."""
        with self._using() as connected:
            connected.server.add_adapter(adapter)

    def remove_adapter(self, name: str) -> None:
        """See `engine.base.Engine`."""
        with self._using() as connected:
            connected.server.remove_adapter(name)

    @contextmanager
    def _using(self) -> Iterator[_Connected]:
        """The server; what was opened for it stays open until the end of the block."""
        with self._counting:  # first, so that nothing is closed in between
            self._users += 1
        try:
            yield self._ready()
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._counting:
            self._users -= 1
            is_last = not self._users
        if is_last:
            self._opened.close()

    def close(self) -> None:
        """Ends every answer and the connection; the server goes on."""
        with self._connecting:
            if self._closed:
                return
            self._closed = True
        self._connection.close()
        self._leave()


def _no_progress(_: Cancellation) -> Generator[PromptProgress, None, None]:
    yield from ()
