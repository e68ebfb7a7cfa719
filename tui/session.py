"""The truth of the window: the open conversation, the queue of messages, and the one thread that asks the assistant.

No widget holds any of this; the window sends (`send`, `stop`, `new`, …) and draws the values that come back through
`post`. All calls to the assistant come from the worker thread, one after the other. What it runs there, a reply or a
preparation for the next message, is a job that the window's thread may cancel.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from textual.message import Message as Posted

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError, ExitCode, InputError
from dlp_local.core.events import Event, HistoryTrimmed, ReasoningDelta, ReplyDone, RouteChosen, TextDelta
from dlp_local.core.job import Job
from dlp_local.core.values import Correction, Message, Mix
from dlp_local.history import History
from dlp_local.history.model import StoredTurn
from dlp_local.history.open_conversation import OpenConversation
from tui.backend import AssistantBackend
from tui.state import ConversationView, PackUpdated, PathChanged, Status, StatusChanged, Turn, TurnChanged, stored

_log = logging.getLogger(__name__)

LOST = "The engine stopped in the middle of this answer."
AGAIN = "Send the message again."
NOT_LOADED = "Not answered: the pack could not be loaded."
ChangeOptions = Callable[[ChatOptions], ChatOptions]
"""What is set on the command line, over the options that the conversation has."""

NO_PACK = "no pack is loaded, so there is none to change. Close the chat and see `dlp-local doctor`."


@dataclass(frozen=True, slots=True)
class _Job:
    """A turn to answer: in its own conversation, perhaps under a mix given for it alone, perhaps begun already."""

    turn: int
    chat: OpenConversation
    mix: Mix | None = None
    answer_prefix: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the pack's adapters: what to say while it is made and when it is done.

    `make` returns what else is to be said then, or nothing.
    """

    saying: str
    done: str
    make: Callable[[AssistantBackend], str | None]


class Session:
    """Owns the open conversation and the worker thread. Public methods are for the window's thread and never block."""

    def __init__(self, open_assistant: Callable[[], AssistantBackend], history: History, notice: str = "") -> None:
        self.history = history
        self.status = Status(notice=notice)
        self.chat = OpenConversation(history)
        self._open = open_assistant
        self._post: Callable[[Posted], object] = lambda _: None
        self._wake = threading.Condition(threading.RLock())
        self._waiting: deque[_Job | _Change] = deque()
        self._live: dict[int, Turn] = {}
        self._assistant: AssistantBackend | None = None
        self._running: Job[Any] | None = None
        self._answering = self._warming = self._stopping = self._closing = False
        self._thread = threading.Thread(target=self._work, name="assistant", daemon=True)

    def start(self, post: Callable[[Posted], object]) -> None:
        """Starts to load the assistant; values go to `post`, which must be safe to call from any thread."""
        self._post = post
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether an answer is being read for or written."""
        return self._answering

    @property
    def history_messages(self) -> tuple[Message, ...]:
        """The answered turns of the shown path, as the assistant is told of them."""
        return self.chat.history_messages(self.chat.tip)

    # ---- what the user does ----

    def send(self, text: str) -> Turn:
        """Queues a message after the shown path; it runs at once where nothing is before it."""
        return self._queue(text, self.chat.tip)

    def edit(self, turn: int, text: str) -> None:
        """Sends another message in the place of a turn's; the old one stays as an alternative."""
        self._queue(text, self.chat[turn].parent)
        self._show_path()

    def retry(self, turn: int, mix: Mix | None = None) -> Turn:
        """Asks for another answer to a turn's message, perhaps under a mix given for it alone."""
        again = self._queue(self.chat[turn].text, self.chat[turn].parent, mix)
        self._show_path()
        return again

    def go_on(self, turn: int) -> None:
        """Goes on with an answer that was cut."""
        before = self.chat[turn]
        mix = before.done.route.mix if before.done and not before.done.route.probabilities else None
        self._queue(before.text, before.parent, mix, answer_prefix=before.answer)
        self._show_path()

    def _queue(self, text: str, parent: int | None, mix: Mix | None = None, answer_prefix: str = "") -> Turn:
        with self._wake:
            idle = self.status.phase == "ready" and not self._waiting
            kept = self.chat.add(text, parent, self.status.name)
            turn = self._note(
                Turn(
                    kept.id,
                    text,
                    "processing" if idle else "queued",
                    alternative=self.chat.alternative_position(kept.id),
                )
            )
            self._waiting.append(_Job(kept.id, self.chat, mix, answer_prefix))
            self._interrupt(warming=True)
            self._check_saved()
            self._wake.notify()
        return turn

    def stop(self) -> None:
        """Ends the running answer; the part that was written stays."""
        with self._wake:
            self._stopping = self._answering
            self._interrupt()

    def new(self, options: ChatOptions | None = None) -> None:
        """Begins a new conversation; what runs or waits in the old one ends."""
        self._leave(OpenConversation(self.history, options=options))

    def open(self, number: int) -> None:
        """Goes to a stored conversation; raises `HistoryError` where it cannot be read."""
        if number != self.chat.number:
            self.history.end_unfinished(number)
            self._leave(OpenConversation(self.history, self.history.conversation(number)))

    def _leave(self, chat: OpenConversation) -> None:
        self.stop()
        with self._wake:
            for job in self._waiting:
                if isinstance(job, _Job):
                    job.chat.finish(job.turn, "", None, "Not answered: another conversation was opened.")
            self._waiting = deque(job for job in self._waiting if isinstance(job, _Change))
            self._live.clear()
            self.chat = chat
            last = next((turn.done for turn in reversed(chat.path()) if turn.done), None)
            self._set_status(context_used=last.context_used if last else 0, options=chat.options)
            self._emit(PathChanged(self.shown(), opened=True))

    def step(self, turn: int, by: int) -> None:
        """Goes to the alternative before (-1) or after (1) a turn; not while an answer is being written."""
        with self._wake:
            if not self._answering and self.chat.step(turn, by):
                self._show_path()

    def show(self, turn: int) -> None:
        """Goes to the branch through a turn."""
        with self._wake:
            self.chat.show(turn)
            self._show_path()

    def undo(self) -> str:
        """Takes the last turn back; returns its message, to be written anew."""
        with self._wake:
            turn = None if self._answering else self.chat.undo()
            self._show_path()
        return turn.text if turn else ""

    def set_options(self, options: ChatOptions) -> None:
        """What this conversation sets for itself, from the next message on."""
        with self._wake:
            self.chat.set_options(options)
            self._check_saved()
            self._set_status(options=options)

    def correct(self, turn: int, right: str) -> None:
        """A turn's message belongs to another adapter, from now on; raises `HistoryError` where it cannot be stored."""
        kept = self.chat[turn]
        wrong = kept.done.route.mix if kept.done else Mix()
        self.history.correct(Correction(kept.text, wrong, right))
        if self._assistant:
            self._assistant.correct(kept.text, right)

    def change_pack(self, saying: str, done: str, make: Callable[[AssistantBackend], str | None]) -> None:
        """Queues a change of the pack's adapters; `PackUpdated` tells what came of it.

        `saying` is what the status line says meanwhile. Raises `InputError` for a pack that cannot be changed.
        """
        with self._wake:
            if problem := self.status.read_only_reason or (NO_PACK if self.status.phase == "failed" else ""):
                raise InputError(problem)
            self._waiting.append(_Change(saying, done, make))
            self._interrupt(warming=True)
            self._wake.notify()

    @property
    def changing(self) -> bool:
        """Whether a change of the pack is made or waits."""
        with self._wake:
            return self.status.phase == "updating" or any(isinstance(job, _Change) for job in self._waiting)

    def close(self, timeout: float = 3.0) -> bool:
        """Ends the worker; False where it goes on: in an answer for `timeout` seconds, or with a pack still loading.

        A load is not waited for: nothing can end it early.
        """
        with self._wake:
            self._closing = True
            self._stopping = self._answering
            self._waiting.clear()
            self._interrupt(warming=True)
            self._wake.notify()
        if self._assistant and self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _interrupt(self, *, warming: bool = False) -> None:
        if self._running and (self._stopping or (warming and self._warming)):
            self._running.cancel()

    # ---- what the window shows ----

    def shown(self) -> ConversationView:
        """The conversation as it is to be shown."""
        chat = self.chat
        turns = tuple(self._turn(turn, chat.alternative_position(turn.id)) for turn in chat.path())
        return ConversationView(chat.number, chat.title, turns, chat.options)

    def turn(self, number: int) -> Turn:
        """A turn of the open conversation as it is now."""
        return self._turn(self.chat[number], self.chat.alternative_position(number))

    def _turn(self, kept: StoredTurn, alternative: tuple[int, int]) -> Turn:
        live = self._live.get(kept.id)
        return replace(live, alternative=alternative) if live else stored(kept, alternative)

    def _note(self, turn: Turn) -> Turn:
        self._live[turn.id] = turn
        return turn

    def _show_path(self) -> None:
        self._emit(PathChanged(self.shown()))

    def _check_saved(self) -> None:
        if self.chat.problem and self.chat.problem != self.status.notice:
            self._set_status(notice=self.chat.problem)

    # ---- the worker thread ----

    def _work(self) -> None:
        try:
            assistant = self._open()
        except Exception as error:
            _log.debug("loading failed", exc_info=True)
            self._fail(error)
            return
        with self._wake:
            self._assistant = assistant
            self._set_status(
                phase="ready",
                name=assistant.name,
                greeting=assistant.greeting,
                examples=tuple(assistant.examples),
                context_size=assistant.context_size,
                read_only_reason=assistant.read_only_reason,
                **_adapters(assistant),
            )
            for notice in assistant.notices:
                self._emit(PackUpdated(notice))
        try:
            while job := self._next():
                if isinstance(job, _Change):
                    self._make(assistant, job)
                    self._warm(assistant, self.chat)
                else:
                    self._answer(assistant, job)
                    self._warm(assistant, job.chat)
        finally:
            with suppress(Exception):
                assistant.close()

    def _fail(self, error: Exception) -> None:
        with self._wake:
            code = error.exit_code if isinstance(error, DlpLocalError) else ExitCode.FAILURE
            self._set_status(phase="failed", error=describe(error), exit_code=int(code))
            for job in self._waiting:
                if isinstance(job, _Change):
                    self._emit(PackUpdated("", NO_PACK))
                else:
                    job.chat.finish(job.turn, "", None, NOT_LOADED)
                    self._change(replace(self._live[job.turn], state="failed", error=NOT_LOADED), job.chat)
            self._waiting.clear()

    def _next(self) -> _Job | _Change | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            job = self._waiting.popleft()
            if isinstance(job, _Change):
                self._set_status(phase="updating", change=job.saying)
            else:
                self._answering = True
                self._set_status(phase="processing")
            return job

    def _make(self, assistant: AssistantBackend, change: _Change) -> None:
        problem, more = "", None
        try:
            more = change.make(assistant)
        except Exception as error:
            _log.debug("a change of the pack failed", exc_info=True)
            problem = describe(error)
        with self._wake:
            self._set_status(phase="ready", change="", **_adapters(assistant))
            self._emit(PackUpdated(f"{change.done} ({more})" if more else change.done, problem))

    def _answer(self, assistant: AssistantBackend, job: _Job) -> None:
        kept = job.chat[job.turn]
        turn = Turn(
            kept.id, kept.text, "processing", job.answer_prefix, alternative=job.chat.alternative_position(kept.id)
        )
        self._change(turn, job.chat)
        try:
            reply = assistant.reply(
                kept.text,
                job.chat.history_messages(kept.parent),
                mix=job.mix,
                options=job.chat.options,
                previous=job.chat.route_before(kept),
                answer_prefix=job.answer_prefix,
            )
            with self._wake:
                self._running = reply
                self._interrupt()  # a stop that came before the reply was made must not be lost
            for event in reply:
                turn = self._advance(turn, job.chat, event)
                if turn.done is None:
                    self._change(turn, job.chat)
            if turn.done is None or turn.done.finish_reason == "error":
                why = turn.done.error if turn.done else ""
                turn = replace(turn, state="failed", error=f"{why or LOST} {AGAIN}")
        except Exception as error:
            _log.debug("a reply failed", exc_info=True)
            turn = replace(turn, state="failed", error=describe(error))
        self._finish(turn, job.chat)

    def _advance(self, turn: Turn, chat: OpenConversation, event: Event) -> Turn:
        match event:
            case RouteChosen(route):
                return replace(turn, route=route)
            case HistoryTrimmed(turns):
                news = turns > chat.trimmed
                chat.trimmed = max(turns, chat.trimmed)
                return replace(turn, trimmed=turns) if news else turn
            case ReasoningDelta():
                return turn
            case TextDelta(text):
                if turn.state != "generating":
                    self._set_status(phase="generating")
                turn = replace(turn, state="generating", answer=turn.answer + text)
                chat.grow(turn.id, turn.answer)
                return turn
            case ReplyDone():
                return replace(turn, state="done", answer=event.answer, route=event.route, done=event)

    def _finish(self, turn: Turn, chat: OpenConversation) -> None:
        with self._wake:
            chat.finish(turn.id, turn.answer, turn.done, turn.error)
            changes: dict[str, Any] = {"phase": "ready"}
            if turn.done:
                changes["speed"] = turn.done.tokens_per_second
            if turn.state == "done" and turn.done and turn.answer and chat is self.chat:
                changes["context_used"] = turn.done.context_used
            self._answering = self._stopping = False
            self._running = None
            self._change(turn, chat)
            self._check_saved()
            self._set_status(**changes)

    def _change(self, turn: Turn, chat: OpenConversation) -> None:
        if chat is self.chat:
            self._emit(TurnChanged(self._note(turn)))

    def _warm(self, assistant: AssistantBackend, chat: OpenConversation) -> None:
        with self._wake:
            self._warming = not self._waiting and not self._closing and chat is self.chat
            if self._warming:
                warming = self._running = assistant.warm(chat.history_messages(chat.tip), options=chat.options)
        if self._warming:
            try:
                warming.finish()
            except Exception:
                # Settling only saves time: what is really wrong shows itself, with words, at the next reply.
                _log.debug("settling failed", exc_info=True)
        with self._wake:
            self._warming = False
            self._running = None

    def _set_status(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._emit(StatusChanged(self.status))

    def _emit(self, message: Posted) -> None:
        with suppress(RuntimeError):  # the window's event loop has just closed
            self._post(message)


def _adapters(assistant: AssistantBackend) -> dict[str, Any]:
    return {"adapters": tuple(assistant.adapters), "pack_adapters": tuple(assistant.pack_adapters)}


def describe(error: Exception) -> str:
    """The text for an error: the project's own say what to do themselves, for others this adds it."""
    if isinstance(error, DlpLocalError):
        return str(error)
    return f"Something unexpected happened ({type(error).__name__}: {error}). Send the message again, or restart."
