"""One turn, from a message to its answer; a turn that is kept goes through `conversation_turn`, which calls this."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from dlp_local.adapter_changes import change_adapters
from dlp_local.answer_parts import answer_parts, begun_by
from dlp_local.answer_text import answer_text
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.conversation import followed_by
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.errors import InputError
from dlp_local.core.events import Event, PromptProgress, ReplyDone, RouteChosen
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.option_defaults import NO_DEFAULTS, OptionDefault
from dlp_local.core.settings import Sampling, Settings
from dlp_local.core.text import check_message
from dlp_local.core.values import UNCHANGED, AdapterChange, AdapterFile, AdapterInfo, Message, Mix, Route
from dlp_local.engine.base import Engine, Together
from dlp_local.packs import Pack, open_pack
from dlp_local.packs.adapters import add_adapter, remove_adapter, set_adapter
from dlp_local.packs.transaction import check_changeable
from dlp_local.packs.watch import PackWatch
from dlp_local.routing import MessageRouter

MOST_EXAMPLES = 4
"""Messages to try that are taken from the adapters' examples."""

DEFAULTS = ChatOptions()
"""Everything as the settings have it."""

OpenRouter = Callable[[Pack], MessageRouter]


class Assistant(AbstractContextManager["Assistant"]):
    """A pack ready to answer.

    >>> with open_assistant() as assistant:
    ...     route = assistant.route("tar: list the contents of notes.tar")
    ...     for event in assistant.reply("to ISO: the 3rd of February 2021"):
    ...         if isinstance(event, TextDelta):
    ...             print(event.text, end="")
    2021-02-03
    >>> max(route.probabilities, key=route.probabilities.get)
    'shell'

    Messages may be routed, replied to and corrected from several threads at once; what changes the pack belongs to one
    thread at a time.
    """

    def __init__(
        self,
        pack: Pack,
        settings: Settings,
        engine: Engine,
        open_router: OpenRouter,
        notices: tuple[str, ...] = (),
        option_defaults: Mapping[str, OptionDefault] = NO_DEFAULTS,
    ) -> None:
        """Takes over the engine, also where this raises what `open_router` raises: `close` ends it.

        `open_router` opens the router of a pack, now and after each change of the pack. `notices` and
        `option_defaults` are for the user.
        """
        self.settings = settings
        self._pack, self._watch = pack, PackWatch(pack.folder)
        self._engine, self._open_router = engine, open_router
        self.notices = notices
        self.option_defaults = option_defaults
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._corrected: list[tuple[str, str | None]] = []
        try:
            self._router = open_router(pack)
            self.context_size = engine.context_size
        except BaseException:
            engine.close()
            raise

    @property
    def name(self) -> str:
        """The pack's name."""
        return self._pack.name

    @property
    def greeting(self) -> str:
        """What the pack says of itself."""
        return self._pack.manifest.greeting

    @property
    def examples(self) -> tuple[str, ...]:
        """Messages to try: those that the pack names, or else the first example of each of some adapters."""
        if self._pack.manifest.examples:
            return self._pack.manifest.examples
        first = [text for name in self.adapters for text in self._pack.examples(name)[:1]]
        return tuple(first[:MOST_EXAMPLES])

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of the adapters that messages may go to."""
        return tuple(self._pack.manifest.enabled)

    @property
    def pack_adapters(self) -> tuple[AdapterInfo, ...]:
        """Every adapter of the pack, also those that are switched off, by name."""
        adapters = sorted(self._pack.manifest.adapters.items())
        return tuple(AdapterInfo(name, adapter.description, adapter.enabled) for name, adapter in adapters)

    @property
    def pack_folder(self) -> Path:
        """Where the pack is."""
        return self._pack.folder

    @property
    def read_only_reason(self) -> str:
        """Why the pack's adapters cannot be changed, and what to do then; nothing where they can."""
        try:
            check_changeable(self._pack.folder)
        except InputError as error:
            return str(error)
        return ""

    @property
    def concurrent_replies(self) -> int:
        """How many replies are computed at once."""
        return self._engine.capabilities.concurrent_replies

    def route(
        self,
        text: str,
        *,
        previous_route: Route | None = None,
        without: Collection[str] = (),
        split: bool | None = None,
    ) -> Route:
        """The router's decision about a message, given the route of the turn before it; never for some adapters.

        `split`: whether it may be answered in parts; None leaves that to the settings.
        """
        check_message(text)
        routing = self.settings.routing
        if split is not None:
            routing = routing.model_copy(update={"split": split})
        return self._router.route(text, routing, previous_route.carried if previous_route else None, without)

    def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """The pack's encoder on any texts: a vector of unit length for each, and the tokens of all of them."""
        vectors, tokens = self._router.encode(texts)
        return vectors.tolist(), tokens

    def correct(self, text: str, right: str | None) -> None:
        """From now on a message, and what is almost the same, belongs to `right`; may be called from any thread.

        None takes back what was said of it. The next start knows of it where it is stored in the history, too.
        """
        with self._lock:
            self._corrected.append((text, right))
            self._router.correct(text, right)

    def reply(
        self,
        text: str,
        history: Sequence[Message] = (),
        *,
        mix: Mix | None = None,
        options: ChatOptions = DEFAULTS,
        previous_route: Route | None = None,
        answer_prefix: str = "",
        begun_parts: Sequence[ReplyDone] | None = None,
        earlier_answers: Sequence[EarlierAnswer] = (),
        tool_messages: Sequence[Message] = (),
        answer_format: AnswerFormat = ANY_TEXT,
    ) -> Job[Event]:
        """Answers a message: `RouteChosen`, perhaps `HistoryTrimmed`, `ReasoningDelta`… and `TextDelta`…, and
        `ReplyDone` at the end. `AnswerWasReasoning` says that the text so far is none of the answer.

        Where the message is routed in parts, each is answered under its own mix, in order, as if it were alone, and all
        together have the tokens that an answer may have; one whose answer has a form or stops of its own is answered as
        one. Calls of tools come as `ToolCalled`; what followed them is given with the same message as its
        `tool_messages`: what the assistant said and called, and the results.

        A `mix` given by hand, or pinned by the options, leaves the router out. `answer_prefix` is the beginning of the
        answer, to go on with: the reply then holds both. Where that was an answer in parts, the replies to them are
        `begun_parts`, and each that was cut goes on; () is an answer that had none. `earlier_answers` are those to this
        message, of which another one is asked for: under a mix that gave one of them it is drawn at a temperature over
        0, whatever is set.

        What comes can be cancelled, from any thread, and then ends with what there is by then. The events raise
        `InputError` for what cannot be answered.
        """

        def run(cancellation: Cancellation) -> Generator[Event, None, None]:
            self._engine.capabilities.check(answer_format)
            is_one = answer_format.is_of_one_answer or bool(tool_messages or options.stop)
            most = options.sampling(self.settings.sampling).max_tokens
            route = self._route(text, options.mix if mix is None else mix, options, previous_route, is_one)
            if begun_parts is not None:  # what is gone on with keeps the parts in which it was begun
                route = replace(route, parts=tuple(part.route for part in begun_parts))
            yield RouteChosen(route)
            conversation = [*self._instructions(options), *history]

            def answer_part(part: Route, prefix: str, max_tokens: int | None) -> Generator[Event, None, None]:
                asked = followed_by(conversation, part.text, tool_messages)
                sampling = self._sampling(options, part.mix, max_tokens)
                asked_for = options.scope, answer_format, prefix, earlier_answers
                return answer_text(self._engine, asked, part, sampling, *asked_for, cancellation)

            if route.parts:
                begun = begun_parts or begun_by(route, answer_prefix)
                yield from answer_parts(route, answer_part, most, begun)
            else:
                yield from answer_part(route, answer_prefix, most)

        return Job(run)

    def _route(self, text: str, mix: Mix | None, options: ChatOptions, previous: Route | None, is_one: bool) -> Route:
        if mix is None:
            split = False if is_one else options.split
            return self.route(text, previous_route=previous, without=options.vetoed, split=split)
        check_message(text)
        self._pack.check_enabled(name for name, _ in mix.weights)
        return Route(text, {}, mix)

    def _sampling(self, options: ChatOptions, mix: Mix, max_tokens: int | None) -> Sampling:
        """What is set, by the defaults of base where base has most of the mix, with a seed drawn where none is set."""
        sampling = options.sampling(self.settings.sampling).model_copy(update={"max_tokens": max_tokens})
        return (sampling.for_base() if mix.is_mostly_base else sampling).seeded()

    def warm(self, history: Sequence[Message], *, options: ChatOptions = DEFAULTS) -> Job[PromptProgress]:
        """Prepares for the next message in idle time."""
        most = options.sampling(self.settings.sampling).max_tokens
        return self._engine.warm([*self._instructions(options), *history], most)

    def _instructions(self, options: ChatOptions) -> list[Message]:
        text = self.settings.system if options.system is None else options.system
        return [Message("system", text)] if text.strip() else []

    def together(self, members: int) -> AbstractContextManager[Together]:
        """See `engine.base.Engine`: within it replies are begun by so many threads together, and can be had again."""
        return self._engine.together(members)

    def add_adapter(self, source: str | Path, name: str, change: AdapterChange = UNCHANGED) -> str:
        """Adds an adapter to the pack, as `packs.adapters.add_adapter`, and to the running engine and router.

        Where the engine refuses it, the pack stays as it was, too. Returns what of the adapter is left out, in a
        sentence; empty where nothing is.
        """
        return add_adapter(self._pack.folder, source, name, change, accept=self.refresh)

    def try_adapter(self, file: AdapterFile) -> None:
        """Loads an adapter that is not in the pack, for mixes by hand; raises `PackError` where it does not fit."""
        self._engine.add_adapter(file)

    def remove_adapter(self, name: str) -> None:
        """Takes an adapter out of the pack and out of the running engine; raises `InputError` for an unknown one."""
        remove_adapter(self._pack.folder, name, accept=self.refresh)

    def set_adapter(self, name: str, change: AdapterChange) -> None:
        """Changes what the pack says of an adapter: scale, scope, whether it is switched on; it holds at once.

        Where the engine refuses it, the pack stays as it was, too.
        """
        set_adapter(self._pack.folder, name, change, accept=self.refresh)

    def refresh(self) -> None:
        """Takes over what changed in the pack's folder since it was opened: its adapters, their settings, its router.

        May be called from any thread: one at a time does it. Raises `PackError` for a pack that is no longer sound and
        for an adapter that the engine refuses; what was open before then stays in use.
        """
        with self._refreshing:
            pack = open_pack(self._pack.folder)
            router = self._open_router(pack)
            change_adapters(self._engine, self._pack.adapter_files(), pack.adapter_files())
            with self._lock:
                for text, right in self._corrected:  # some came while the router was being opened
                    router.correct(text, right)
                self._pack, self._router = pack, router

    @property
    def may_have_changed(self) -> bool:
        """Whether another program may have changed the pack; that takes microseconds to know."""
        return self._watch.may_have_changed

    def refresh_if_changed(self) -> bool:
        """`refresh`, where another program changed the pack, as `packs.watch.PackWatch.take_over`."""
        return self._watch.take_over(self._pack.manifest, self.refresh)

    def close(self) -> None:
        """Ends the engine's process."""
        self._engine.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
