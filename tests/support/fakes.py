"""A scripted stand-in for the assistant, at the one seam where the engine would be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.events import (
    AnswerWasReasoning,
    Event,
    HistoryTrimmed,
    PromptProgress,
    ReasoningDelta,
    ReplyDone,
    RouteChosen,
    TextDelta,
    Timings,
)
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.option_defaults import option_defaults
from dlp_local.core.settings import Sampling, Settings
from dlp_local.core.values import BLANK_LINE, UNCHANGED, AdapterChange, AdapterInfo, FinishReason, Message, Mix, Route
from dlp_local.engine.base import Together
from dlp_local.engine.gathering import Apart

PATIENCE = 60.0
"""Seconds after which a gate that nobody opens fails its test instead of hanging it."""


class Gate:
    """Something that a test lets through; waiting at it can be broken off."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._open = self._broken = False
        self.reached = threading.Event()

    def open(self) -> None:
        with self._condition:
            self._open = True
            self._condition.notify_all()

    def break_off(self) -> None:
        with self._condition:
            self._broken = True
            self._condition.notify_all()

    def wait(self) -> bool:
        """True when opened, False when broken off."""
        self.reached.set()
        with self._condition:
            if not self._condition.wait_for(lambda: self._open or self._broken, PATIENCE):
                raise TimeoutError("the gate was never opened")
            return not self._broken


@dataclass
class Answer:
    """One scripted reply; at `gate` it stops after `before_gate` pieces until the test opens it or it is cancelled."""

    pieces: Sequence[str] = ("a ", "fine ", "answer")
    mix: Mix = field(default_factory=lambda: Mix.of({"sql": 0.72, "shell": 0.22}))
    trimmed: int = 0
    finish_reason: FinishReason = "stop"
    gate: Gate | None = None
    before_gate: int = 0
    error: Exception | None = None
    context_used: int = 200
    reasoning: str = ""
    is_reasoning_late: bool = False
    """The reasoning comes as text, and is told to be none of the answer after it."""
    parts: Sequence[tuple[str, str, str]] = ()
    """Text, adapter and answer of each part; the answers are the pieces then."""
    by_hand: bool = False
    """Whether the mix is not the router's."""


def _parts(answer: Answer, context_size: int) -> tuple[ReplyDone, ...]:
    return tuple(
        ReplyDone(
            text, answered, Route(text, {name: 0.97, "base": 0.03}, Mix.of({name: 1.0})), answer.finish_reason,
            9, 2, 40, context_size, Timings(0.0, 90.0, 100.0),
        )
        for text, name, answered in answer.parts
    )  # fmt: skip


@dataclass(frozen=True)
class Call:
    text: str
    history: tuple[Message, ...]
    previous: Route | None
    mix: Mix | None
    options: ChatOptions
    answer_prefix: str
    earlier_answers: tuple[EarlierAnswer, ...] = ()
    begun_parts: Sequence[ReplyDone] | None = None
    tool_messages: tuple[Message, ...] = ()
    answer_format: AnswerFormat = ANY_TEXT


class FakeAssistant:
    """Answers by its script, in order, and then always with the default answer; keeps what it was asked."""

    def __init__(self, *script: Answer, greeting: str = "I am a fake.", warm_gate: Gate | None = None) -> None:
        self.name = "bundled"
        self.greeting = greeting
        self.notices: tuple[str, ...] = ()
        self.examples = ("tar: extract archive.tar.gz into /tmp", "hello, what can you do?")
        self.adapters = ("banking", "dates", "describe", "extract", "shell", "sql")
        self.pack_adapters = tuple(AdapterInfo(name, f"what {name} does") for name in self.adapters)
        self.read_only_reason = ""
        self.changed: list[tuple[object, ...]] = []
        self.change_gate: Gate | None = None
        self.change_error: Exception | None = None
        self.pack_folder = Path("packs/bundled")
        self.trained: AdapterInfo | None = None
        """What another program adds to the pack, until it is found."""
        self.refresh_error: Exception | None = None
        self.context_size = 1024
        self.concurrent_replies = 1
        self.option_defaults = option_defaults(
            Settings(sampling=Sampling(top_k=20, stop=("###",)), system="Be brief."), ["stop"]
        )
        self.script = list(script)
        self.calls: list[Call] = []
        self.corrected: list[tuple[str, str | None]] = []
        self.warmed: list[tuple[Message, ...]] = []
        self.reading: tuple[PromptProgress, ...] = ()
        """How far it is, each time that it warms; then it comes to its gate."""

        self.threads: set[int] = set()
        self.closed = False
        self.warm_gate = warm_gate

    def reply(
        self,
        text: str,
        history: Sequence[Message] = (),
        *,
        previous_route: Route | None = None,
        mix: Mix | None = None,
        options: ChatOptions | None = None,
        answer_prefix: str = "",
        begun_parts: Sequence[ReplyDone] | None = None,
        earlier_answers: Sequence[EarlierAnswer] = (),
        tool_messages: Sequence[Message] = (),
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Job[Event]:
        call = Call(
            text, tuple(history), previous_route, mix, options or ChatOptions(), answer_prefix, tuple(earlier_answers),
            begun_parts, tuple(tool_messages), answer_format,
        )  # fmt: skip
        return Job(partial(self._reply, call))

    def together(self, members: int) -> AbstractContextManager[Together]:
        return nullcontext(Apart())

    def _reply(self, call: Call, cancellation: Cancellation) -> Generator[Event, None, None]:
        self.threads.add(threading.get_ident())
        self.calls.append(call)
        text, answer = call.text, self.script.pop(0) if self.script else Answer()
        parts = _parts(answer, self.context_size)
        routes = tuple(part.route for part in parts)
        probabilities = {} if answer.by_hand else answer.mix.as_dict()
        route = Route(text, probabilities, answer.mix, 1.6, 0.2, routes)
        yield RouteChosen(route)
        if answer.trimmed:
            yield HistoryTrimmed(answer.trimmed)
        if answer.reasoning:
            yield (TextDelta if answer.is_reasoning_late else ReasoningDelta)(answer.reasoning)
        if answer.is_reasoning_late:
            yield AnswerWasReasoning()
        given = call.answer_prefix
        reason = answer.finish_reason
        pieces = BLANK_LINE.join(part.answer for part in parts).splitlines(keepends=True) or answer.pieces
        for index, piece in enumerate([*pieces, None]):
            if answer.gate and index == answer.before_gate:
                with cancellation.forwarded(answer.gate.break_off):
                    answer.gate.wait()
            if cancellation.requested:
                reason = "cancelled"
                break
            if index == len(pieces) - 1 and answer.error:
                raise answer.error
            if piece is not None:
                given += piece
                yield TextDelta(piece)
        tokens = len(pieces)
        yield ReplyDone(
            text, given, route, reason, 20, tokens, answer.context_used, self.context_size,
            Timings(route=1.8, first_token=180.0, total=180.0 + (tokens - 1) * 1000 / 96),
            reasoning=answer.reasoning, parts=parts,
        )  # fmt: skip

    def add_adapter(self, source: str | Path, name: str, change: AdapterChange = UNCHANGED) -> str:
        self._change("add", source, name, change)
        self._have([*self.pack_adapters, AdapterInfo(name)])
        return ""

    def remove_adapter(self, name: str) -> None:
        self._change("remove", name)
        self._have([adapter for adapter in self.pack_adapters if adapter.name != name])

    def set_adapter(self, name: str, change: AdapterChange) -> None:
        self._change("set", name, change)
        self._have(
            [
                replace(adapter, enabled=change.enabled is not False) if adapter.name == name else adapter
                for adapter in self.pack_adapters
            ]
        )

    @property
    def may_have_changed(self) -> bool:
        return bool(self.trained or self.refresh_error)

    def refresh_if_changed(self) -> bool:
        self.threads.add(threading.get_ident())
        if self.refresh_error:
            error, self.refresh_error = self.refresh_error, None
            raise error
        if self.trained is None:
            return False
        self._have([*self.pack_adapters, self.trained])
        self.trained = None
        return True

    def _change(self, *what: object) -> None:
        self.threads.add(threading.get_ident())
        self.changed.append(what)
        if self.change_gate:
            self.change_gate.wait()
        if self.change_error:
            raise self.change_error

    def _have(self, adapters: list[AdapterInfo]) -> None:
        self.pack_adapters = tuple(adapters)
        self.adapters = tuple(adapter.name for adapter in adapters if adapter.enabled)

    def route(self, text: str, *, previous_route: Route | None = None, **_: object) -> Route:
        mix = Answer().mix
        return Route(text, mix.as_dict(), mix, embed_ms=1.6, route_ms=0.2)

    def correct(self, text: str, right: str | None) -> None:
        self.corrected.append((text, right))

    def warm(self, history: Sequence[Message], **_: object) -> Job[PromptProgress]:
        return Job(partial(self._warm, tuple(history)))

    def _warm(self, history: tuple[Message, ...], cancellation: Cancellation) -> Generator[PromptProgress, None, None]:
        self.threads.add(threading.get_ident())
        self.warmed.append(history)
        yield from self.reading
        if gate := self.warm_gate:
            self.warm_gate = None
            with cancellation.forwarded(gate.break_off):
                gate.wait()

    def close(self) -> None:
        self.closed = True


def loading(assistant: FakeAssistant, gate: Gate) -> Callable[[], FakeAssistant]:
    """A factory that takes as long as the test wants."""

    def open_assistant() -> FakeAssistant:
        gate.wait()
        return assistant

    return open_assistant
