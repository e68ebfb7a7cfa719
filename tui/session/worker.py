"""The one thread that asks the assistant: it loads it, does what is queued, and warms it up in idle time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dlp_local.conversation_turn import answer_turn, error_text, fail_turn
from dlp_local.core.errors import DlpLocalError, ExitCode
from dlp_local.core.events import (
    AnswerWasReasoning,
    Event,
    HistoryTrimmed,
    PromptProgress,
    ReasoningDelta,
    ReplyDone,
    RouteChosen,
    TextDelta,
)
from dlp_local.core.job import Job as Running
from dlp_local.core.values import Route
from dlp_local.history.open_conversation import OpenConversation
from tui.messages import PackUpdated
from tui.session.assistant_backend import AssistantBackend, OpenAssistant, pack_facts
from tui.session.jobs import AnswerJob, CorrectionJob, Job, JobQueue, PackJob, SwitchJob, WarmJob
from tui.session.shared_state import SharedState
from tui.state import Turn

_log = logging.getLogger(__name__)

WORTH_TELLING = 128
"""Tokens: fewer are read before one has read of it."""

LOOK_EVERY = 1.0
"""Seconds without anything to do, after which it is looked whether another program changed the pack."""

NO_PACK = "no pack is loaded, so there is none to change. Close the chat and see `dlp-local doctor`."


class AssistantWorker:
    """Does one job after the other. Its methods are for other threads and never wait.

    One lock guards the queue and what runs, so that a stop or a new job always meets what it is meant for.
    """

    def __init__(self, open_assistant: OpenAssistant, state: SharedState) -> None:
        self._open_assistant, self._state = open_assistant, state
        self._lock = threading.RLock()
        self._queue = JobQueue(self._lock)
        self._assistant: AssistantBackend | None = None
        self._reply: Running[Event] | None = None
        self._warming: Running[PromptProgress] | None = None
        self._thread = threading.Thread(target=self._work, name="assistant", daemon=True)

    def start(self) -> None:
        """Begins to load the assistant."""
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a message is being answered."""
        return self._reply is not None

    @property
    def changing(self) -> bool:
        """Whether a change of the pack is made or waits."""
        return self._state.status.phase == "updating" or self._queue.changes_pack

    def put(self, job: Job) -> None:
        """Queues a job."""
        with self._lock:
            self._queue.put(job)
            if self._warming:
                self._warming.cancel()

    def stop(self) -> None:
        """Ends the running answer; the part that was written stays."""
        with self._lock:
            if self._reply:
                self._reply.cancel()

    def drop_waiting(self, reason: str, turn: int | None = None) -> None:
        """Takes the messages that wait out of the queue, or that of one turn; why nobody will answer them is stored."""
        for job in self._queue.remove_answers(turn):
            fail_turn(job.conversation, job.turn, reason)

    def probabilities(self, text: str, previous: Route | None) -> Mapping[str, float]:
        """The router's, for a message after the turn of a route; it waits for the router alone.

        None where no pack is loaded, or its router fails.
        """
        with suppress(Exception):
            return self._assistant.route(text, previous_route=previous).carried if self._assistant else {}
        return {}

    def close(self, timeout: float) -> bool:
        """Ends the thread; False where it goes on: in an answer for `timeout` seconds, or with a pack still loading.

        A load is not waited for: nothing can end it early.
        """
        with self._lock:
            self._queue.close()
            self.stop()
            if self._warming:
                self._warming.cancel()
        if self._state.status.phase != "loading" and self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- in the thread ----

    def _work(self) -> None:
        try:
            assistant = self._open_assistant(None)
        except Exception as error:
            _log.debug("loading failed", exc_info=True)
            code = error.exit_code if isinstance(error, DlpLocalError) else ExitCode.FAILURE
            self._state.update(phase="failed", error=error_text(error), exit_code=int(code))
            while job := self._queue.take():
                self._refuse(job)
            return
        try:
            self._assistant = assistant
            self._state.update(phase="ready", **pack_facts(assistant))
            if assistant.notices:
                self._state.post(PackUpdated("\n".join(assistant.notices)))
            self._warm(assistant, self._state.conversation)
            while not self._queue.closed:
                if job := self._next(assistant):
                    assistant = self._do(assistant, job)
                else:
                    self._refresh_if_changed(assistant)
        finally:
            with suppress(Exception):
                assistant.close()

    def _next(self, assistant: AssistantBackend) -> Job | None:
        with self._lock:
            job = self._queue.take(LOOK_EVERY)
            if isinstance(job, AnswerJob):
                # Made under the lock: a stop from now on ends it, however early it comes.
                self._reply = answer_turn(
                    assistant,
                    job.conversation,
                    job.turn,
                    mix=job.mix,
                    answer_prefix=job.answer_prefix,
                    begun_parts=job.begun_parts,
                    another=job.another,
                )
            return job

    def _do(self, assistant: AssistantBackend, job: Job) -> AssistantBackend:
        """Does a job; gives the assistant that is to be asked from then on."""
        match job:
            case AnswerJob():
                self._refresh_if_changed(assistant)
                self._answer(job)
                self._warm(assistant, job.conversation)
            case CorrectionJob():
                self._correct(assistant, job)
            case PackJob():
                self._change_pack(assistant, job)
                self._warm(assistant, self._state.conversation)
            case SwitchJob(pack):
                assistant = self._switch(assistant, pack)
                self._warm(assistant, self._state.conversation)
            case WarmJob(conversation):
                self._warm(assistant, conversation)
        return assistant

    def _refuse(self, job: Job) -> None:
        """What becomes of a job where no pack is loaded."""
        match job:
            case AnswerJob():
                fail_turn(job.conversation, job.turn, f"Not answered: {self._state.status.place.failure}.")
                self._show_end(job.conversation, job.turn)
            case PackJob() | SwitchJob():
                self._state.post(PackUpdated("", NO_PACK))

    def _answer(self, job: AnswerJob) -> None:
        conversation, reply = job.conversation, self._reply
        assert reply is not None
        turn = replace(
            Turn.from_stored(conversation[job.turn], conversation.alternative_position(job.turn)),
            state="processing",
            answer=job.answer_prefix,
        )
        self._state.update(phase="processing")
        self._state.show_turn(conversation, turn)
        try:
            for event in reply:
                if not isinstance(event, ReplyDone):
                    turn = self._advance(turn, conversation, event)
                    self._state.show_turn(conversation, turn)
        except Exception:  # what it was stands in the conversation
            _log.debug("a reply failed", exc_info=True)
        with self._lock:
            self._reply = None
        self._show_end(conversation, job.turn, turn)

    def _advance(self, turn: Turn, conversation: OpenConversation, event: Event) -> Turn:
        match event:
            case RouteChosen(route):
                return replace(turn, route=route)
            case HistoryTrimmed(turns):
                is_news = turns > conversation.trimmed
                conversation.trimmed = max(turns, conversation.trimmed)
                return replace(turn, trimmed=turns) if is_news else turn
            case ReasoningDelta(text):
                return replace(turn, reasoning=turn.reasoning + text)
            case AnswerWasReasoning():
                return replace(turn, reasoning=turn.reasoning + turn.answer, answer="")
            case TextDelta(text):
                if turn.state != "generating":
                    self._state.update(phase="generating")
                return replace(turn, state="generating", answer=turn.answer + text)
        return turn

    def _show_end(self, conversation: OpenConversation, number: int, running: Turn | None = None) -> None:
        """Shows a turn as it was stored at its end."""
        trimmed = running.trimmed if running else 0
        turn = Turn.from_stored(conversation[number], conversation.alternative_position(number), trimmed)
        if turn.route is None and running:
            turn = replace(turn, route=running.route)
        self._state.show_turn(conversation, turn)
        self._state.check_stored(conversation)
        changes: dict[str, Any] = {} if self._state.status.phase == "failed" else {"phase": "ready"}
        if turn.done:
            changes["speed"] = turn.done.tokens_per_second
            is_measured = turn.state == "done" and turn.answer and turn.done.context_used
            if is_measured and conversation is self._state.conversation:
                changes["context_used"] = turn.done.context_used
        self._state.update(**changes)

    def _correct(self, assistant: AssistantBackend, job: CorrectionJob) -> None:
        try:
            assistant.correct(job.text, job.right)
        except Exception as error:
            _log.debug("a correction was not taken over", exc_info=True)
            self._state.post(PackUpdated("", f"The correction is stored and holds from the next start: {error}"))

    def _change_pack(self, assistant: AssistantBackend, job: PackJob) -> None:
        self._state.update(phase="updating", activity=job.activity)
        problem, more = "", None
        try:
            more = job.change(assistant)
        except Exception as error:
            _log.debug("a change of the pack failed", exc_info=True)
            problem = error_text(error)
        self._state.update(phase="ready", activity="", **pack_facts(assistant))
        self._state.post(PackUpdated(f"{job.done} ({more})" if more else job.done, problem))

    def _refresh_if_changed(self, assistant: AssistantBackend) -> None:
        """An adapter that was trained elsewhere is there with the next message, and is shown before that."""
        try:
            if assistant.refresh_if_changed():
                self._state.update(**pack_facts(assistant))
        except Exception as error:
            _log.debug("a change of another program was not taken over", exc_info=True)
            self._state.post(PackUpdated("", f"The pack was changed, and what was open goes on: {error_text(error)}"))

    def _switch(self, assistant: AssistantBackend, pack: str) -> AssistantBackend:
        """Opens another pack; where it cannot be opened, the one before it goes on."""
        self._state.update(phase="updating", activity=f"opening {pack}")
        problem, opened = "", assistant
        try:
            self._assistant = opened = self._open_assistant(pack)
            with suppress(Exception):
                assistant.close()
        except Exception as error:
            _log.debug("another pack could not be opened", exc_info=True)
            problem = error_text(error)
        self._state.update(phase="ready", activity="", **pack_facts(opened))
        self._state.post(PackUpdated("\n".join([f"{opened.name} answers from now on.", *opened.notices]), problem))
        return opened

    def _warm(self, assistant: AssistantBackend, conversation: OpenConversation) -> None:
        with self._lock:
            if self._queue or self._queue.closed or conversation is not self._state.conversation:
                return
            warming = self._warming = assistant.warm(
                conversation.history_messages(conversation.tip), options=conversation.options
            )
        try:
            for progress in warming:
                if self._state.status.reading or progress.total - progress.done >= WORTH_TELLING:
                    self._state.update(reading=progress)
        except Exception:
            # It only saves time: what is really wrong shows itself, with words, at the next reply.
            _log.debug("warming failed", exc_info=True)
        finally:
            with self._lock:
                self._warming = None
            if self._state.status.reading:
                self._state.update(reading=None)
