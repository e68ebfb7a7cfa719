"""`/v1/fine_tuning/jobs`: adapters trained from a client's rows."""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlp_local.server.bodies import parse_body, read_body
from dlp_local.server.errors import ApiError, blamed_on
from dlp_local.server.pages import page
from dlp_local.server.replies.fine_tuning import (
    CheckpointList,
    FineTuningEvent,
    FineTuningEventList,
    FineTuningJob,
    FineTuningJobList,
    HeldOutScore,
    JobError,
    JobHyperparameters,
    JobMethod,
    RoutingChange,
    SupervisedMethod,
    TrainingReport,
)
from dlp_local.server.requests.fine_tuning import UNUSED, USUAL, FineTuningRequest
from dlp_local.server.service import Service, owner_of, service_of
from dlp_local.server.training_notices import reason
from dlp_local.server.training_records import Failure, Notice, TrainingRecord

LISTED, MOST_LISTED = 20, 1000
METADATA = "metadata["


async def create_job(request: Request) -> Response:
    """Begins a training: it is checked as far as it can be at once, and waits for its turn."""
    service, owner = service_of(request), owner_of(request)
    asked = parse_body(await read_body(request, service.most_bytes), FineTuningRequest, UNUSED).body
    record = await asyncio.to_thread(_create, service, owner, asked)
    return JSONResponse(_reply(service, record))


def _create(service: Service, owner: str, asked: FineTuningRequest) -> TrainingRecord:
    """Raises `ApiError` for what can never become a training."""
    asked.check_names(service.assistant)
    asked.choices()
    if why := service.assistant.read_only_reason:
        raise ApiError(400, why, param="model", code="pack_read_only")
    with blamed_on(None, "training_not_installed"):
        service.trainings.check_trainer()
    for param, number in (("training_file", asked.training_file), ("validation_file", asked.validation_file)):
        file = number is not None and service.files.get(owner, number)
        if file is None or (file and file.purpose != "fine-tune"):
            message = f"{param}: there is no file of rows of this id. Send it to /v1/files first."
            raise ApiError(400, message, param=param, code="file_not_found")
    return service.trainings.create(owner, asked)


async def list_jobs(request: Request) -> Response:
    """The trainings of who asks, the newest first."""
    service = service_of(request)
    records = await asyncio.to_thread(service.trainings.all, owner_of(request))
    wanted = {
        name.removeprefix(METADATA).removesuffix("]"): value
        for name, value in request.query_params.items()
        if name.startswith(METADATA)
    }
    records = [record for record in records if wanted.items() <= (record.asked.metadata or {}).items()]
    shown, has_more = page(request, records, lambda record: record.id, LISTED, MOST_LISTED)
    return JSONResponse(
        FineTuningJobList(object="list", data=[_reply(service, record) for record in shown], has_more=has_more)
    )


async def one_job(request: Request) -> Response:
    """A training, as far as it is."""
    return JSONResponse(_reply(service_of(request), await _asked(request)))


async def job_events(request: Request) -> Response:
    """What a training has told, the newest first."""
    record = await _asked(request)
    notices = await asyncio.to_thread(service_of(request).trainings.notices, record.id)
    events = [_event(record, place, notice) for place, notice in enumerate(notices)]
    shown, has_more = page(request, events[::-1], lambda event: event["id"], LISTED, MOST_LISTED)
    return JSONResponse(FineTuningEventList(object="list", data=shown, has_more=has_more))


async def job_checkpoints(request: Request) -> Response:
    """No adapter of a single epoch is kept but the best."""
    await _asked(request)
    return JSONResponse(CheckpointList(object="list", data=[], first_id=None, last_id=None, has_more=False))


async def cancel_job(request: Request) -> Response:
    """Ends a training; one that runs is `cancelled` once it has kept what it reached."""
    service, record = service_of(request), await _asked(request)
    return JSONResponse(_reply(service, await asyncio.to_thread(service.trainings.cancel, record)))


async def _asked(request: Request) -> TrainingRecord:
    trainings = service_of(request).trainings
    record = await asyncio.to_thread(trainings.get, owner_of(request), request.path_params["id"])
    if record is None:
        raise ApiError(404, "there is no training of this id.", code="job_not_found")
    return record


def _event(record: TrainingRecord, place: int, notice: Notice) -> FineTuningEvent:
    return FineTuningEvent(
        id=f"ftevent-{record.id.removeprefix('ftjob-')}-{place}",
        object="fine_tuning.job.event",
        created_at=int(notice.created),
        level=notice.level,
        message=notice.message,
        type=notice.type,
        data=dict(notice.data),
    )


def _reply(service: Service, record: TrainingRecord) -> FineTuningJob:
    asked, expected_end = record.asked, service.trainings.expected_end(record.id)
    hyperparameters = _hyperparameters(record)
    trained = record.trained
    return FineTuningJob(
        id=record.id,
        object="fine_tuning.job",
        created_at=int(record.created),
        finished_at=None if record.ended is None else int(record.ended),
        estimated_finish=None if expected_end is None else int(expected_end),
        status=record.status,
        error=_error(record.failure) if record.failure else None,
        model=asked.model,
        suffix=asked.suffix,
        fine_tuned_model=asked.suffix if record.status == "succeeded" else None,
        organization_id="dlp-local",
        training_file=asked.training_file,
        validation_file=asked.validation_file,
        result_files=list(record.result_files),
        trained_tokens=round(trained.tokens_per_second * trained.training_seconds) if trained else None,
        seed=asked.seed,
        hyperparameters=hyperparameters,
        method=JobMethod(type="supervised", supervised=SupervisedMethod(hyperparameters=hyperparameters)),
        integrations=[],
        metadata=asked.metadata,
        dlp_local=_report(record),
    )


def _error(failure: Failure) -> JobError:
    return JobError(code=failure.code, message=failure.message, param=failure.param)


def _hyperparameters(record: TrainingRecord) -> JobHyperparameters:
    """As asked for; once the rows are read, as they are."""
    if record.prepared is None:
        own, _ = record.asked.own_hyperparameters()
        return JobHyperparameters(
            n_epochs=own.n_epochs,
            batch_size=own.batch_size,
            learning_rate_multiplier=own.learning_rate_multiplier,
        )
    choices, rows = record.prepared.choices, record.prepared.tasks[record.asked.suffix]
    return JobHyperparameters(
        n_epochs=choices.epochs,
        batch_size=max(1, round(choices.batch_tokens * rows.train / max(rows.tokens, 1))),
        learning_rate_multiplier=choices.rate / USUAL.rate,
    )


def _report(record: TrainingRecord) -> TrainingReport:
    result = record.trained.results[record.asked.suffix] if record.trained else None
    return TrainingReport(
        choices=record.prepared.choices.as_dict() if record.prepared else None,
        scores={
            name: HeldOutScore(rows=score.rows, exact=score.exact, chrf=score.chrf)
            for name, score in result.scores.items()
        }
        if result
        else None,
        routing=RoutingChange(
            own=result.routing.own,
            judged=result.routing.judged,
            taken=dict(Counter(owner for owner, _ in result.routing.taken)),
            background=result.routing.background,
        )
        if result
        else None,
        refused=reason(result) if result else None,
        in_place=result.in_place if result else None,
    )
