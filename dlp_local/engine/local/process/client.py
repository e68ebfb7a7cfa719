"""The engine in a process of its own: what ends it, ends no conversation.

A failed assertion in llama.cpp, a kill for lack of memory or a bad file ends the child; the part of the answer that had
come is kept, the reason is said, and the next request starts another child. The child ends with its parent, however the
parent ended, for its pipe then ends too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from dlp_local.core import settings
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.errors import DlpLocalError, EngineError
from dlp_local.core.events import Generated, HistoryTrimmed, PromptProgress, ReasoningDelta, TextDelta
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.values import AdapterFile, Message, Mix, Scope
from dlp_local.engine.base import Capabilities, EngineEvent, Reply
from dlp_local.engine.gathering import Gathering
from dlp_local.engine.local.process.protocol import (
    AddAdapter,
    Generate,
    Inspect,
    Inspected,
    Open,
    Opened,
    RemoveAdapter,
    StartAnew,
    Task,
    TaskEvent,
    Warm,
)
from dlp_local.engine.local.process.subprocess import Child, ChildDiedError


def inspect_in_process(backbone: Path, chat_template: str, options: settings.Engine) -> str:
    """What there is to say of a backbone, as `inspect_backbone`, seen in a process of its own; raises as that does."""
    with closing(Child(options.response_timeout)) as child:
        child.request(0, Inspect(backbone, chat_template))
        try:
            return "".join(event.notice for event in child.events(0) if isinstance(event, Inspected))
        except ChildDiedError as died:
            raise EngineError(f"{backbone}: cannot be loaded. {died}") from None


class EngineProcess:
    """llama.cpp's engine in a child process; one `engine.base.Engine`.

    It begins to load when it is made; `context_size` and every request wait for that and raise what `LocalEngine`
    raises. Requests are begun in the order in which they come. A child that died is replaced at the next request, and a
    request it had not begun to answer is made again.
    """

    def __init__(self, backbone: Path, adapters: Sequence[AdapterFile], options: settings.Engine) -> None:
        self.capabilities = Capabilities(
            scopes=frozenset({"turn", "context"}),
            concurrent_replies=options.parallel,
            format_features=frozenset({"grammar", "json_schema", "logprobs", "logit_bias", "tools"}),
        )
        self._backbone, self._options = backbone, options
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._numbers = count()
        self._closed = False
        self._context_size = 0
        self._loading = threading.Lock()
        self._gathering: Gathering[Task, tuple[Child, int]] | None = None
        self._start()

    def _start(self) -> None:
        self._child = Child(self._options.response_timeout)
        self._opening: int | None = next(self._numbers)
        self._child.request(self._opening, Open(self._backbone, tuple(self._adapters.values()), self._options))

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._child.pid

    @property
    def context_size(self) -> int:
        """Tokens that fit, prompt and answer together."""
        self._ready()
        return self._context_size

    def _ready(self) -> Child:
        """The child with its backbone loaded; another one where it died."""
        with self._loading:
            self._check_open()
            if self._opening is None and not self._child.alive:
                self._child.close()
                self._start()
            if self._opening is not None:
                opening, self._opening = self._opening, None
                try:
                    for event in self._child.events(opening):
                        if isinstance(event, Opened):
                            self._context_size = event.context_size
                except ChildDiedError as died:
                    self._check_open()
                    raise EngineError(f"{self._backbone}: cannot be loaded. {died}") from None
                except DlpLocalError:
                    self._child.close()
                    raise
            return self._child

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the engine is closed. Open the assistant again.")

    def _events(self, task: Task, cancellation: Cancellation) -> Generator[TaskEvent, None, None]:
        """The events of a task; in another child once more where this one died before any text had come."""
        trimmed: TaskEvent | None = None
        for is_last in (False, True):
            child, number = self._begin(task)
            has_text = False
            try:
                with cancellation.forwarded(partial(child.cancel, number)):
                    for event in child.events(number):
                        has_text = has_text or isinstance(event, TextDelta | ReasoningDelta)
                        if event != trimmed:
                            trimmed = event if isinstance(event, HistoryTrimmed) else trimmed
                            yield event
                return
            except ChildDiedError:
                if has_text or is_last or self._closed or cancellation.requested:
                    raise

    def _begin(self, task: Task) -> tuple[Child, int]:
        """Asks the child for a task, together with those of others where this thread is one of several."""
        if (gathering := self._gathering) and gathering.is_of_this_thread:
            return gathering.begun(task)
        child, number = self._ready(), next(self._numbers)
        child.request(number, task)
        return child, number

    def _begin_together(self, tasks: Sequence[Task]) -> list[tuple[Child, int]]:
        child, numbered = self._ready(), {next(self._numbers): task for task in tasks}
        child.request_together(numbered)
        return [(child, number) for number in numbered]

    @contextmanager
    def together(self, members: int) -> Iterator[Gathering[Task, tuple[Child, int]]]:
        """See `engine.base.Engine`; one such block at a time."""
        Job(partial(self._progress, StartAnew())).finish()
        self._gathering = Gathering(members, self._begin_together)
        try:
            yield self._gathering
        finally:
            self._gathering = None

    def _progress(self, task: Task, cancellation: Cancellation) -> Generator[PromptProgress, None, None]:
        """How far a task is that gives no other events."""
        try:
            for event in self._events(task, cancellation):
                if isinstance(event, PromptProgress):
                    yield event
        except ChildDiedError as died:
            raise EngineError(str(died)) from None

    def generate(
        self,
        messages: Sequence[Message],
        mix: Mix,
        sampling: settings.Sampling,
        scope: Scope | None = None,
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Reply:
        """See `engine.base.Engine`; where the child dies, the last event is a `Generated` with the reason."""
        return Job(partial(self._reply, Generate(tuple(messages), mix, sampling, scope, answer_format)))

    def _reply(self, task: Generate, cancellation: Cancellation) -> Generator[EngineEvent, None, None]:
        started, tokens, first = time.perf_counter(), 0, 0.0
        try:
            for event in self._events(task, cancellation):
                if isinstance(event, TextDelta | ReasoningDelta):
                    tokens, first = tokens + 1, first or time.perf_counter()
                if not isinstance(event, Opened | Inspected | PromptProgress):
                    yield event
                if isinstance(event, Generated):
                    return
        except ChildDiedError as died:
            now = time.perf_counter()
            yield Generated(
                finish_reason="error",
                prompt_tokens=0,
                answer_tokens=tokens,
                context_used=0,
                first_token_ms=((first or now) - started) * 1000,
                total_ms=(now - started) * 1000,
                error=str(died),
            )

    def warm(self, history: Sequence[Message], max_tokens: int | None) -> Job[PromptProgress]:
        """See `engine.base.Engine`."""
        return Job(partial(self._progress, Warm(tuple(history), max_tokens)))

    def add_adapter(self, adapter: AdapterFile) -> None:
        """See `engine.base.Engine`; a new child knows it too."""
        Job(partial(self._progress, AddAdapter(adapter))).finish()
        self._adapters[adapter.name] = adapter

    def remove_adapter(self, name: str) -> None:
        """See `engine.base.Engine`; a new child does not know it either."""
        Job(partial(self._progress, RemoveAdapter(name))).finish()
        self._adapters.pop(name, None)

    def close(self) -> None:
        """Ends the child, also one that still loads."""
        if not self._closed:
            self._closed = True
            self._child.close()
            with self._loading:  # another thread may just have started a child in the place of a dead one
                self._child.close()
