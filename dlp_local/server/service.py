"""What the endpoints share: the assistant, the runner of its jobs, the counters, what is stored, the trainings."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from starlette.requests import Request

from dlp_local.assistant import Assistant
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.errors import InputError
from dlp_local.core.events import Event, PromptProgress, ReplyDone
from dlp_local.core.job import Cancellation, Job
from dlp_local.core.settings import Server
from dlp_local.core.values import Message, Mix
from dlp_local.history_route import history_route
from dlp_local.server.blame import FieldNames
from dlp_local.server.errors import ApiError
from dlp_local.server.file_store import FileStore
from dlp_local.server.metrics import Metrics
from dlp_local.server.response_store import ResponseStore
from dlp_local.server.runner import JobRunner
from dlp_local.server.training_jobs import TrainingJobs


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer that is asked for."""

    text: str
    history: Sequence[Message]
    options: ChatOptions
    fields: FieldNames
    mix: Mix | None = None
    answer_prefix: str = ""
    tool_messages: Sequence[Message] = ()
    answer_format: AnswerFormat = ANY_TEXT
    earlier_answers: Sequence[EarlierAnswer] = ()
    goes_on: bool = True
    """Whether another message may follow."""


@dataclass(frozen=True)
class Service:
    """One server's parts."""

    assistant: Assistant
    settings: Server
    runner: JobRunner
    metrics: Metrics
    responses: ResponseStore
    files: FileStore
    trainings: TrainingJobs
    started: int = field(default_factory=lambda: int(time.time()))

    @property
    def most_bytes(self) -> int:
        """Of a request's body."""
        return self.settings.body_megabytes << 20

    @property
    def most_file_bytes(self) -> int:
        """Of a body with a file: while it comes it counts with the bodies of all requests."""
        return (
            min(self.settings.file_megabytes, max(self.settings.bodies_megabytes, self.settings.body_megabytes)) << 20
        )

    def job(self, turn: Turn) -> Job[Event]:
        """Answers a turn; what of it is computed, the route of the message before, too, is in the job's thread.

        Its events raise `ApiError` for what the assistant cannot answer.
        """

        def run(cancellation: Cancellation) -> Generator[Event, None, None]:
            try:
                yield from events(cancellation)
            except InputError as error:
                raise turn.fields.blamed(error, turn.answer_format) from None

        def events(cancellation: Cancellation) -> Generator[Event, None, None]:
            reply = self.assistant.reply(
                turn.text,
                turn.history,
                mix=turn.mix,
                options=turn.options,
                previous_route=None if turn.mix else history_route(self.assistant, turn.history, turn.options),
                answer_prefix=turn.answer_prefix,
                earlier_answers=turn.earlier_answers,
                tool_messages=turn.tool_messages,
                answer_format=turn.answer_format,
            )
            with closing(reply), cancellation.forwarded(reply.cancel):
                for event in reply:
                    if isinstance(event, ReplyDone):
                        self.metrics.count_reply(event)
                        if turn.goes_on and event.finish_reason not in ("error", "cancelled"):
                            self.runner.idle.add(partial(self._warm, turn, event))
                    yield event

        return Job(run)

    def _warm(self, turn: Turn, reply: ReplyDone) -> Job[PromptProgress]:
        """Prepares for the message after a reply."""
        answer = Message("assistant", reply.answer, reply.tool_calls)
        said = [*turn.history, Message("user", turn.text), *turn.tool_messages, answer]
        return self.assistant.warm(said, options=turn.options)


def service_of(request: Request) -> Service:
    """The parts of the server that a request came to."""
    service: Service = request.app.state.service
    return service


def client_of(request: Request) -> str:
    """By whom the queue takes turns."""
    return str(request.state.client)


def owner_of(request: Request) -> str:
    """Whose key it is; empty where nobody needs one."""
    return str(request.state.owner)


def check_choices(number: int, service: Service) -> None:
    """Raises `ApiError` where a request asks for too many answers."""
    if number > service.settings.choices:
        raise ApiError(400, f"n: {service.settings.choices} at most.", param="n", code="invalid_value")
